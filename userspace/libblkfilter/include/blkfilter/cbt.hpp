// SPDX-License-Identifier: MIT
/// @file
/// Changed-block tracking by the filter "cbt-only".
#pragma once

#include <blkfilter/control.hpp>
#include <blkfilter/error.hpp>
#include <blkfilter/types.hpp>

#include <chrono>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace blkfilter::cbt {

/// The filter's name, for a stack.
inline constexpr std::string_view filter_name = "cbt-only";

/// A tracker's history on a device.
struct Info {
    /// Of the history; another one means that everything may have changed.
    Uuid generation{};
    std::uint64_t size_sectors{};
    std::uint64_t memory_bytes{};
    std::uint32_t block_bytes{};
    /// Checkpoints with a name.
    std::uint32_t named{};
    /// The history has begun.
    bool settled{};
};

/// An instant that changes are asked for since.
struct Checkpoint {
    std::uint64_t number{};
    std::chrono::sys_time<std::chrono::nanoseconds> time{};
    /// Empty for one that only a point's id names.
    std::string name{};
    /// Of the point that made it; null when it was made for itself.
    PointId id{};
};

/// All of a device, and the generation that their numbers belong to.
struct Checkpoints {
    Uuid generation{};
    /// Those with a name, then the unnamed ones, each from old to new.
    std::vector<Checkpoint> list{};
};

using Range = SectorRange;

/// A changed range, in whole blocks.
struct Extent {
    Range range{};
    /// What was last sent to each block of it was a discard or zeroes.
    bool discarded{};

    friend bool operator==(const Extent&, const Extent&) = default;
};

/// The tracker of one device.  Every call is one or a few commands of the filter:
/// ENOENT where it is not attached, ENODEV where the device is gone.  Calls may come
/// from several threads at once.
class Tracker {
public:
    /// @p control must outlive it.
    Tracker(const Control& control, const DeviceId& device) : control_{&control}, device_{device} {}

    [[nodiscard]] Result<Info> info() const;
    [[nodiscard]] Result<Checkpoints> checkpoints() const;

    /// Makes a checkpoint now; returns its number.  @p limit: for so long the device
    /// may be closed, 0 for the kernel's default.
    ///
    /// Errors: EAGAIN, the history has not begun; EEXIST, the name is in use; EINVAL,
    /// not a name (1 to 63 printable characters without spaces); ENOSPC, too many;
    /// ETIMEDOUT, the device did not drain in time.
    [[nodiscard]] Result<std::uint64_t> create(std::string_view name,
                                               std::chrono::milliseconds limit = {}) const;
    /// Gives a name to the checkpoint of a point, which is one of the last 16.  ENOENT:
    /// it is not.  Else as create().
    [[nodiscard]] Result<std::uint64_t> name_point(const PointId& point, std::string_view name) const;
    /// ENOENT: there is none by that name.
    [[nodiscard]] Result<void> remove(std::string_view name) const;

    /// Hands over what has changed since checkpoint @p number of @p generation, in
    /// ascending order, page by page.  Every write that was sent before the call is in
    /// it.  Errors: ESTALE, the generation has ended: everything may have changed;
    /// ENOENT, there is no such checkpoint.
    using Sink = std::function<Result<void>(std::span<const Extent>)>;
    [[nodiscard]] Result<void> extents(const Uuid& generation, std::uint64_t number, const Sink& sink) const;
    /// All of it at once.
    [[nodiscard]] Result<std::vector<Extent>> extents(const Uuid& generation, std::uint64_t number) const;

    /// Takes ranges for written now.  EINVAL: one is empty or not wholly on the device;
    /// none is marked then.
    [[nodiscard]] Result<void> mark_dirty(std::span<const Range> ranges) const;

private:
    const Control* control_;
    DeviceId device_;
};

} // namespace blkfilter::cbt
