// SPDX-License-Identifier: MIT
#include "raw.hpp"

#include <blkfilter/blksnap.hpp>
#include <linux/blksnap.h>

namespace blkfilter::blksnap {

namespace {

/// What an errno of blksnap says; empty where it says no more than any filter's.
std::string_view meaning_of_command(std::uint32_t command, int code) {
    const bool adds = command == blkfilter_ctl_blksnap_snapshotadd;
    switch (code) {
    case EINVAL:
        return command == blkfilter_ctl_blksnap_cbtdirty
                   ? "a range is not wholly on the device; nothing is marked"
                   : "";
    case ENODATA:
        return command == blkfilter_ctl_blksnap_cbtmap
                   ? "the map has another size since it was asked for: the device was resized"
                   : "";
    case ESRCH:
        return adds ? "no such snapshot: it was destroyed" : "";
    case EALREADY:
        return adds ? "it takes part in the snapshot already" : "";
    case EBUSY:
        return adds ? "it takes part in another snapshot, or this one has been taken" : "";
    case ENOTBLK:
        return adds ? "the snapshot's storage has larger logical blocks than the device" : "";
    case ELOOP:
        return adds ? "the snapshot's storage lies on the device, by way of another one" : "";
    default:
        return "";
    }
}

template <class Raw>
Result<void> send(const Control& control, const DeviceId& device, std::uint32_t command, Raw& raw) {
    return send_command(control, device, filter_name, command, raw, meaning_of_command);
}

} // namespace

Result<MapInfo> Tracker::info() const {
    blksnap_cbtinfo raw{};
    if (auto done = send(*control_, device_, blkfilter_ctl_blksnap_cbtinfo, raw); !done)
        return std::unexpected(done.error());
    return MapInfo{.size_bytes = raw.device_capacity,
                   .block_bytes = raw.block_size,
                   .blocks = raw.block_count,
                   .generation = uuid_of(raw.generation_id.b),
                   .number = raw.changes_number};
}

Result<ChangeMap> Tracker::map() const {
    const auto before = info();
    if (!before)
        return std::unexpected(before.error());
    std::vector<std::uint8_t> numbers(before->blocks);
    blksnap_cbtmap raw{.offset = 0, .length = before->blocks, .buffer = address_of(numbers.data())};
    if (auto done = send(*control_, device_, blkfilter_ctl_blksnap_cbtmap, raw); !done)
        return std::unexpected(done.error());
    const auto after = info();
    if (!after)
        return std::unexpected(after.error());
    if (*after != *before)
        return failure(EAGAIN, device_name(device_), "a snapshot was taken while the change map was read");
    return ChangeMap{*before, std::move(numbers)};
}

Result<void> Tracker::mark_dirty(std::span<const SectorRange> ranges) const {
    std::vector<blksnap_sectors> sectors;
    for (const auto& range : ranges)
        sectors.push_back({.offset = range.sector, .count = range.sectors});
    blksnap_cbtdirty raw{};
    raw.count = static_cast<std::uint32_t>(sectors.size());
    raw.dirty_sectors = address_of(sectors.data());
    return send(*control_, device_, blkfilter_ctl_blksnap_cbtdirty, raw);
}

Result<void> Tracker::add_to(const Uuid& snapshot) const {
    blksnap_snapshotadd raw{};
    put_uuid(raw.id.b, snapshot);
    return send(*control_, device_, blkfilter_ctl_blksnap_snapshotadd, raw);
}

Result<Part> Tracker::part() const {
    blksnap_snapshotinfo raw{};
    if (auto done = send(*control_, device_, blkfilter_ctl_blksnap_snapshotinfo, raw); !done)
        return std::unexpected(done.error());
    auto image = text_of(raw.image);
    return Part{.error = -raw.error_code, .image = image.empty() ? image : "/dev/" + image};
}

} // namespace blkfilter::blksnap
