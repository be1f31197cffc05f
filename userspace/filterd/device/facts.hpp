// SPDX-License-Identifier: MIT
/// @file
/// What is known of a block device that is there.
#pragma once

#include <blkfilter/device_id.hpp>

#include <map>
#include <optional>
#include <string>
#include <vector>

namespace filterd::device {

struct Facts {
    blkfilter::DeviceId id{};
    std::string name{};               ///< the kernel's, such as "sda1"
    std::vector<std::string> links{}; ///< the node and udev's links to it, each with its whole path
    bool partition{};
    std::optional<std::string> uuid{};     ///< of the file system
    std::optional<std::string> partuuid{}; ///< of the partition, in lower case
    std::optional<std::string> partlabel{};
    std::optional<std::string> serial{};
    std::optional<std::string> wwn{};
    std::optional<std::string> model{};

    bool operator==(const Facts&) const = default;
};

/// All that are there.
using Devices = std::map<blkfilter::DeviceId, Facts>;

} // namespace filterd::device
