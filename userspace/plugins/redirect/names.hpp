// SPDX-License-Identifier: MIT
/// @file
/// Names that devices still have after a restart, and what a restart needs to find the right one.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace filterd::redirects {

/// Where the system is seen, which tests have their own of.
struct Roots {
    std::filesystem::path dev{"/dev"};
    std::filesystem::path proc{"/proc"};
    std::filesystem::path etc{"/etc"};
    std::filesystem::path sys{"/sys"};
};

/// Links to the device @p name, the kernel's, that follow the device and not its content, the best first: in
/// /dev/mapper, /dev/disk/by-id, by-partuuid and by-path. A copy has the same UUID and label as its
/// original, so these are none.
std::vector<std::string> lasting_names(const std::string& name, const Roots& roots);

/// The first of them; "/dev/NAME" when there is none.
std::string lasting_name(const std::string& name, const Roots& roots);

/// Whether it is a name that follows the device.
bool is_lasting(const std::string& path, const Roots& roots);

/// What a file system with this number, such as "0:31", was mounted from; empty when none is mounted.
std::string mount_source(const std::string& number, const Roots& roots);

/// The lines that /etc/fstab needs so that @p target is mounted, or used for swapping, where the device with
/// @p number ("8:1") is now: those of the file for these mount points with another first field, or, where it
/// has none, what they are mounted with. Empty: it is not mounted itself.
std::vector<std::string> fstab_lines(const std::string& number, const std::string& name,
                                     const std::string& target, const Roots& roots);

} // namespace filterd::redirects
