// SPDX-License-Identifier: MIT
/// @file
/// What the configuration files declare: which filters shall be on which devices.
#pragma once

#include "config/node.hpp"

#include <blkfilter/altitude.hpp>

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

namespace filterd::config {

/// How a device is recognised. All that is given must hold; texts other than uuid, partuuid and node are
/// shell patterns.
struct Match {
    std::optional<std::string> node;     ///< /dev/..., links are followed
    std::optional<std::string> id;       ///< of a link in /dev/disk/by-id
    std::optional<std::string> path;     ///< of a link in /dev/disk/by-path
    std::optional<std::string> uuid;     ///< of the file system
    std::optional<std::string> partuuid; ///< of the partition
    std::optional<std::string> partlabel;
    std::optional<std::string> serial;
    std::optional<std::string> wwn;
    std::optional<std::string> model;
    bool many{}; ///< it may fit several devices, which all get the stack

    bool operator==(const Match&) const = default;
};

/// A filter of a stack.
struct Filter {
    Position position;
    std::string name;
    std::optional<blkfilter::Altitude> altitude; ///< the module's own without it
    std::vector<std::pair<Node, Node>> options;  ///< key and value, which the filter's plugin reads
};

struct Device {
    Position position;
    std::string name;
    Match match;
    std::vector<Filter> stack; ///< in the order of the file: altitudes decide
};

/// A part of what there is, in thousandths: 20% is 200.
struct Share {
    std::uint32_t thousandths;
};

/// Where filters may put data that they need for a while.
struct Storage {
    std::optional<std::string> path;                         ///< a folder
    std::optional<std::variant<std::uint64_t, Share>> limit; ///< bytes, or of the file system
    std::optional<std::uint64_t> step;                       ///< bytes that it grows by
    std::optional<Share> warn;                               ///< of the limit
};

/// What is run beside a snapshot: commands of a shell.
struct Hooks {
    std::optional<std::string> before;
    std::optional<std::string> after;     ///< also when the snapshot has failed
    std::optional<std::uint64_t> seconds; ///< for so long each may run
};

/// Devices that points are taken over together.
struct Group {
    Position position;
    std::string name;
    std::vector<std::string> devices;
    Storage storage; ///< what is not given here is as in the defaults
    Hooks hooks;
};

struct Config {
    Storage storage;
    Hooks hooks;
    std::optional<std::string> control_group; ///< whose members may change things, as root may
    std::vector<Group> groups;
    std::vector<Device> devices;
};

} // namespace filterd::config
