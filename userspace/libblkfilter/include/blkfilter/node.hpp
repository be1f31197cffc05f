// SPDX-License-Identifier: MIT
/// @file
/// The three ioctls that are issued on a block device node itself.
#pragma once

#include <blkfilter/error.hpp>
#include <blkfilter/transport.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>

namespace blkfilter {

/// An open block device node.  What it cannot do (altitudes, options, whole
/// stacks) Control can.  Needs CAP_SYS_ADMIN; calls may come from several threads.
/// ENOTTY from any of them: the module is not loaded, or its ioctls on nodes are
/// turned off.
class Node {
public:
    /// Errors: those of open().
    static Result<Node> open(const std::string& path);

    /// @p name stands for the device in messages.
    Node(std::unique_ptr<Transport> transport, std::string name)
        : transport_{std::move(transport)}, name_{std::move(name)} {}

    /// Attaches the filter at its default altitude.  Errors: ENOENT, it is not
    /// registered; EALREADY; EBUSY, another one is at its altitude; its own.
    [[nodiscard]] Result<void> attach(std::string_view filter) const;

    /// Errors: ENOENT, the device has no filter; EINVAL, it has others, but not
    /// this one; EBUSY, the filter refuses.
    [[nodiscard]] Result<void> detach(std::string_view filter) const;

    /// Sends command @p number; see Control::command().
    [[nodiscard]] Result<std::size_t> control(std::string_view filter, std::uint32_t number,
                                              std::span<std::byte> argument) const;

private:
    std::unique_ptr<Transport> transport_;
    std::string name_;
};

} // namespace blkfilter
