// SPDX-License-Identifier: MIT
/// @file
/// Which file systems lie on devices: on them, on their partitions, and on what is built of them.
#pragma once

#include <blkfilter/device_id.hpp>

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <set>
#include <string>
#include <sys/types.h>
#include <vector>

namespace filterd::snapshots {

/// Where a file is.
struct Place {
    dev_t file_system; ///< st_dev
    dev_t device;      ///< that it is the node of; 0: no block device
};

/// Where the system is seen, which tests have their own of.
struct Roots {
    std::filesystem::path sysfs{"/sys"};
    std::filesystem::path proc{"/proc"};
    std::function<std::optional<Place>(const std::filesystem::path&)> place{};
};

/// The real one.
Roots system_roots();

/// A mounted file system.
struct FileSystem {
    std::string device{}; ///< the kernel's name of the one that it is mounted from
    std::string type{};
    std::string mount_point{};
    std::filesystem::path reachable{}; ///< its mount point, whatever mount namespace it is in
    unsigned level{};                  ///< over how many devices it lies on those of the snapshot
    blkfilter::DeviceId id{};          ///< of @p device; unknown without a diskseq
    bool frozen{};                     ///< for the instant of a snapshot of the devices
    std::string warning{};             ///< what is to be known of a snapshot of it; empty: nothing
};

/// File systems on @p names, their partitions and whatever lies on those (device mapper, RAID, loop devices
/// of files and of devices), in all mount namespaces, each once.
std::vector<FileSystem> file_systems_on(const std::set<std::string>& names, const Roots& roots);

/// What the kernel must be told to freeze, as it lies above the devices; the uppermost first.
std::vector<blkfilter::DeviceId> to_be_frozen(std::vector<FileSystem> all);

/// Writes back what is not written yet of those that are not frozen: an image of them is as after a power
/// failure a moment later.
void write_back(const std::vector<FileSystem>& all);

} // namespace filterd::snapshots
