// SPDX-License-Identifier: MIT
/// @file
/// The control device of the block filter core.
#pragma once

#include <blkfilter/error.hpp>
#include <blkfilter/transport.hpp>
#include <blkfilter/types.hpp>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace blkfilter {

/// /dev/blkfilter.  Every call is one or a few ioctls and needs CAP_SYS_ADMIN
/// (EPERM otherwise).  Calls may come from several threads at once.
///
/// ENODEV from a call with a device: it does not exist any more, even if its
/// number is in use again.
class Control {
public:
    /// Errors: ENOENT, the module is not loaded; EACCES.
    static Result<Control> open(const std::string& path = "/dev/blkfilter");

    explicit Control(std::unique_ptr<Transport> transport) : transport_{std::move(transport)} {}

    [[nodiscard]] Result<Version> version() const;
    [[nodiscard]] Result<std::vector<FilterInfo>> filters() const;
    /// Devices with at least one filter.
    [[nodiscard]] Result<std::vector<DeviceInfo>> devices() const;

    [[nodiscard]] Result<Stack> stack(const DeviceId& device) const;

    /// Makes the stack exactly @p entries, in any order, in one transaction: all
    /// of it happens or nothing.  A filter that was there stays with its state.
    /// Returns the stack's new generation.
    ///
    /// Errors: ENOENT, a filter is not registered; EEXIST, one is named twice;
    /// EBUSY, two at one altitude, or a filter refuses to be detached, or another
    /// program changes the stack now; ERANGE, an altitude; EOPNOTSUPP, a filter
    /// cannot work on the device or take other options; ESTALE, another
    /// generation than expected; ETIMEDOUT, bios on their way did not drain in
    /// time; a filter's own.
    [[nodiscard]] Result<std::uint64_t> set_stack(const DeviceId& device,
                                                  std::span<const EntryRequest> entries,
                                                  const StackChange& change = {}) const;

    /// Says what is to become of a stack, given what it is.
    using Edit = std::function<Result<std::vector<EntryRequest>>(const Stack&)>;

    /// Reads the stack, lets @p edit say what it shall be and sets that, again
    /// from the start when somebody else has changed it in between.  @p change
    /// holds as in set_stack(), but for its expected generation: where one is
    /// given, there is no second try.
    [[nodiscard]] Result<std::uint64_t> edit_stack(const DeviceId& device, const Edit& edit,
                                                   StackChange change = {}) const;

    /// Adds one filter and leaves the others.  EALREADY: it is attached.  Errors
    /// and result of set_stack().
    [[nodiscard]] Result<std::uint64_t> attach(const DeviceId& device, const EntryRequest& entry,
                                               const StackChange& change = {}) const;

    /// Takes one filter off and leaves the others.  ENOENT: it is not attached.
    /// Errors and result of set_stack().
    [[nodiscard]] Result<std::uint64_t> detach(const DeviceId& device, std::string_view filter,
                                               const StackChange& change = {}) const;

    /// Takes a consistency point; waits until it is over.  Errors: ETIMEDOUT, a
    /// device did not drain in time and nothing has happened; what freezing a
    /// file system returned.
    [[nodiscard]] Result<Point> point(const PointRequest& request) const;

    /// Returns the rule's number.
    [[nodiscard]] Result<std::uint32_t> add_rule(const RuleRequest& request) const;
    /// ENOENT: there is no such rule.
    [[nodiscard]] Result<void> remove_rule(std::uint32_t id) const;
    [[nodiscard]] Result<std::vector<Rule>> rules() const;

    /// Sends command @p number to a filter of a device.  @p argument is what the
    /// filter reads and where it writes its answer; returns the answer's bytes.
    /// Errors: ENOENT, not attached; ENOTTY, no such command; the filter's own.
    [[nodiscard]] Result<std::size_t> command(const DeviceId& device, std::string_view filter,
                                              std::uint32_t number, std::span<std::byte> argument) const;

private:
    std::unique_ptr<Transport> transport_;
};

} // namespace blkfilter
