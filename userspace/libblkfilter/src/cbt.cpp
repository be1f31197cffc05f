// SPDX-License-Identifier: MIT
#include "raw.hpp"

#include <blkfilter/cbt.hpp>
#include <linux/blkfilter-cbt.h>

namespace blkfilter::cbt {

namespace {

constexpr std::uint32_t extents_a_page = 1024;

Checkpoint checkpoint_of(const blkfilter_cbt_checkpoint& raw) {
    return {.number = raw.number,
            .time = std::chrono::sys_time{std::chrono::nanoseconds{raw.time_ns}},
            .name = text_of(raw.name),
            .id = uuid_of(raw.id)};
}

Extent extent_of(const blkfilter_cbt_extent& raw) {
    return {.range = {.sector = raw.sector, .sectors = raw.sectors},
            .discarded = (raw.flags & BLKFILTER_CBT_DISCARDED) != 0};
}

/// What an errno of cbt-only says; empty where it says no more than any filter's.
std::string_view meaning_of(std::uint32_t command, int code) {
    switch (code) {
    case EAGAIN:
        return "its history has not begun: the device is settling, see blkfilter-tool stack";
    case EEXIST:
        return "there is a checkpoint of that name";
    case EINVAL:
        return command == BLKFILTER_CBT_DIRTY
                   ? "a range is empty or not wholly on the device; nothing is marked"
                   : "";
    case ENODEV:
        return "the filter is being detached, or the device has gone";
    case ENOENT:
        return command == BLKFILTER_CBT_CREATE || command == BLKFILTER_CBT_DELETE ||
                       command == BLKFILTER_CBT_EXTENTS
                   ? "no such checkpoint, or the filter is not attached to the device"
                   : "";
    case ENOSPC:
        return "no room for another checkpoint: delete some";
    case ESTALE:
        return "the checkpoint is of another generation: everything may have changed since";
    case ETIMEDOUT:
        return "the device did not drain in time; no checkpoint was made";
    default:
        return "";
    }
}

template <class Raw>
Result<void> send(const Control& control, const DeviceId& device, std::uint32_t command, Raw& raw) {
    raw.size = sizeof(raw);
    return send_command(control, device, filter_name, command, raw, meaning_of);
}

Result<std::uint64_t> create_with(const Control& control, const DeviceId& device, std::string_view name,
                                  blkfilter_cbt_create raw) {
    if (auto done = put_text(raw.name, name, "checkpoint"); !done)
        return std::unexpected(done.error());
    if (auto done = send(control, device, BLKFILTER_CBT_CREATE, raw); !done)
        return std::unexpected(done.error());
    return raw.number;
}

} // namespace

Result<Info> Tracker::info() const {
    blkfilter_cbt_info raw{};
    if (auto done = send(*control_, device_, BLKFILTER_CBT_INFO, raw); !done)
        return std::unexpected(done.error());
    return Info{.generation = uuid_of(raw.generation),
                .size_sectors = raw.sectors,
                .memory_bytes = raw.memory,
                .block_bytes = raw.block_size,
                .named = raw.named,
                .settled = (raw.flags & BLKFILTER_CBT_SETTLED) != 0};
}

Result<Checkpoints> Tracker::checkpoints() const {
    std::vector<blkfilter_cbt_checkpoint> room(BLKFILTER_CBT_NAMED_MAX + BLKFILTER_CBT_UNNAMED);
    blkfilter_cbt_list raw{};
    raw.entry_size = sizeof(blkfilter_cbt_checkpoint);
    raw.checkpoints = address_of(room.data());
    raw.count = static_cast<std::uint32_t>(room.size());
    if (auto done = send(*control_, device_, BLKFILTER_CBT_LIST, raw); !done)
        return std::unexpected(done.error());
    Checkpoints checkpoints{.generation = uuid_of(raw.generation)};
    for (const auto& entry : std::span{room}.first(std::min<std::size_t>(raw.count, room.size())))
        checkpoints.list.push_back(checkpoint_of(entry));
    return checkpoints;
}

Result<std::uint64_t> Tracker::create(std::string_view name, std::chrono::milliseconds limit) const {
    const auto limit_ms = raw_milliseconds(limit);
    if (!limit_ms)
        return std::unexpected(limit_ms.error());
    blkfilter_cbt_create raw{};
    raw.limit_ms = *limit_ms;
    return create_with(*control_, device_, name, raw);
}

Result<std::uint64_t> Tracker::name_point(const PointId& point, std::string_view name) const {
    blkfilter_cbt_create raw{};
    if (point.is_null())
        return failure(EINVAL, "checkpoint", "a point's id is not all zero");
    put_uuid(raw.id, point);
    return create_with(*control_, device_, name, raw);
}

Result<void> Tracker::remove(std::string_view name) const {
    blkfilter_cbt_delete raw{};
    if (auto done = put_text(raw.name, name, "checkpoint"); !done)
        return done;
    return send(*control_, device_, BLKFILTER_CBT_DELETE, raw);
}

Result<void> Tracker::extents(const Uuid& generation, std::uint64_t number, const Sink& sink) const {
    std::vector<blkfilter_cbt_extent> page(extents_a_page);
    std::vector<Extent> extents;
    std::uint64_t sector = 0;
    for (;;) {
        blkfilter_cbt_extents raw{};
        raw.entry_size = sizeof(blkfilter_cbt_extent);
        put_uuid(raw.generation, generation);
        raw.number = number;
        raw.sector = sector;
        raw.extents = address_of(page.data());
        raw.count = extents_a_page;
        if (auto done = send(*control_, device_, BLKFILTER_CBT_EXTENTS, raw); !done)
            return done;
        extents.clear();
        for (const auto& extent : std::span{page}.first(std::min(raw.count, extents_a_page)))
            extents.push_back(extent_of(extent));
        if (auto done = sink(extents); !done)
            return done;
        // A page that is not full is the last one.
        if (raw.count < extents_a_page)
            return {};
        sector = raw.sector;
    }
}

Result<std::vector<Extent>> Tracker::extents(const Uuid& generation, std::uint64_t number) const {
    std::vector<Extent> all;
    const auto done = extents(generation, number, [&](std::span<const Extent> page) -> Result<void> {
        all.insert(all.end(), page.begin(), page.end());
        return {};
    });
    if (!done)
        return std::unexpected(done.error());
    return all;
}

Result<void> Tracker::mark_dirty(std::span<const Range> ranges) const {
    std::vector<blkfilter_cbt_range> raw_ranges;
    for (const auto& range : ranges)
        raw_ranges.push_back({.sector = range.sector, .sectors = range.sectors});
    blkfilter_cbt_dirty raw{};
    raw.entry_size = sizeof(blkfilter_cbt_range);
    raw.ranges = address_of(raw_ranges.data());
    raw.count = static_cast<std::uint32_t>(raw_ranges.size());
    return send(*control_, device_, BLKFILTER_CBT_DIRTY, raw);
}

} // namespace blkfilter::cbt
