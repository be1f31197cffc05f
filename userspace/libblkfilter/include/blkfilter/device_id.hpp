// SPDX-License-Identifier: MIT
/// @file
/// Which block device is meant.
#pragma once

#include <blkfilter/error.hpp>

#include <compare>
#include <cstdint>
#include <filesystem>
#include <string>

namespace blkfilter {

/// A block device: its number, and its disk's sequence number so that it is never
/// mistaken for a later device of the same number.
struct DeviceId {
    std::uint32_t major{};
    std::uint32_t minor{};
    std::uint64_t diskseq{};

    /// The device that a node such as /dev/vda1 stands for; symbolic links are
    /// followed.  The node is opened only where sysfs does not tell the sequence
    /// number.  Errors: ENOTBLK, and those of stat() and open().
    static Result<DeviceId> from_path(const std::filesystem::path& node);

    /// The device that has this number now.  ENODEV: there is none.
    static Result<DeviceId> from_number(std::uint32_t major, std::uint32_t minor,
                                        const std::filesystem::path& sysfs = "/sys");

    /// "254:1".
    [[nodiscard]] std::string number() const;

    /// "254:1#10": the number and the disk's sequence number.
    [[nodiscard]] std::string to_string() const;

    friend constexpr auto operator<=>(const DeviceId&, const DeviceId&) = default;
};

/// The kernel's name, such as "vda1", of a device that still exists; its number
/// otherwise.
std::string device_name(const DeviceId& device, const std::filesystem::path& sysfs = "/sys");

} // namespace blkfilter
