// SPDX-License-Identifier: MIT
#include "raw.hpp"

#include <blkfilter/control.hpp>

#include <fcntl.h>
#include <fmt/format.h>

namespace blkfilter {

Result<Control> Control::open(const std::string& path) {
    // Not for reading: the kernel collects events for whoever opens it so.
    FileDescriptor file{::open(path.c_str(), O_WRONLY | O_CLOEXEC)};
    if (file.get() < 0)
        return control_not_opened(errno, path);
    return Control{std::make_unique<DescriptorTransport>(std::move(file))};
}

Result<Version> Control::version() const {
    blkfilter_version raw{};
    raw.size = sizeof(raw);
    if (const int status = transport_->ioctl(BLKFILTER_IOC_VERSION, &raw); status < 0)
        return failure(-status, "version", meaning_of(-status));
    return Version{.interface = raw.version,
                   .hook_active = (raw.capabilities & BLKFILTER_CAP_HOOK_ACTIVE) != 0,
                   .node_ioctls = (raw.capabilities & BLKFILTER_CAP_NODE_IOCTLS) != 0};
}

Result<std::vector<FilterInfo>> Control::filters() const {
    const auto raw = list_all<blkfilter_filter_info>(*transport_, BLKFILTER_IOC_LIST_FILTERS, "filters");
    if (!raw)
        return std::unexpected(raw.error());
    std::vector<FilterInfo> filters;
    for (const auto& entry : *raw)
        filters.push_back({.name = text_of(entry.name),
                           .module = text_of(entry.module),
                           .default_altitude = Altitude{entry.altitude},
                           .instances = entry.instances,
                           .needs_points = (entry.flags & BLKFILTER_FILTER_NEEDS_POINTS) != 0,
                           .zoned = (entry.flags & BLKFILTER_FILTER_ZONED) != 0});
    return filters;
}

Result<std::vector<DeviceInfo>> Control::devices() const {
    const auto raw = list_all<blkfilter_device_info>(*transport_, BLKFILTER_IOC_LIST_DEVICES, "devices");
    if (!raw)
        return std::unexpected(raw.error());
    std::vector<DeviceInfo> devices;
    for (const auto& entry : *raw)
        devices.push_back({.device = device_of(entry.device),
                           .name = text_of(entry.name),
                           .generation = entry.generation,
                           .size_sectors = entry.sectors,
                           .filters = entry.filters,
                           .settling = (entry.flags & BLKFILTER_DEVICE_SETTLING) != 0,
                           .partition = (entry.flags & BLKFILTER_DEVICE_PARTITION) != 0});
    return devices;
}

namespace {

/// Which device of @p request made the point fail; "point" when it was none.
std::string culprit(const PointRequest& request, std::uint32_t failed) {
    const bool freezing = (failed & BLKFILTER_FAILED_FREEZE) != 0;
    const std::size_t index = failed & ~BLKFILTER_FAILED_FREEZE;
    const auto& devices = freezing ? request.freeze : request.close;
    if (index >= devices.size())
        return "point";
    return device_name(devices[index]) + (freezing ? ": freezing its file system" : "");
}

} // namespace

Result<Point> Control::point(const PointRequest& request) const {
    const auto limit_ms = raw_milliseconds(request.limit);
    if (!limit_ms)
        return std::unexpected(limit_ms.error());
    for (const auto* devices : {&request.freeze, &request.close}) {
        if (devices->size() > BLKFILTER_POINT_DEVICES_MAX)
            return failure(E2BIG, "point", fmt::format("more than {} devices", BLKFILTER_POINT_DEVICES_MAX));
    }
    if (request.close.empty())
        return failure(EINVAL, "point", "no device takes part");

    const auto freeze = raw_devices(request.freeze);
    const auto close = raw_devices(request.close);
    blkfilter_point raw{};
    raw.size = sizeof(raw);
    std::ranges::copy(request.id.bytes(), std::as_writable_bytes(std::span{raw.id}).begin());
    raw.freeze = freeze.empty() ? 0 : address_of(freeze.data());
    raw.close = address_of(close.data());
    raw.freeze_count = static_cast<std::uint32_t>(freeze.size());
    raw.close_count = static_cast<std::uint32_t>(close.size());
    raw.limit_ms = *limit_ms;
    raw.failed = BLKFILTER_NO_ENTRY;

    if (const int status = transport_->ioctl(BLKFILTER_IOC_POINT, &raw); status < 0) {
        const auto meaning =
            status == -ETIMEDOUT
                ? "its writes did not drain in time, nothing has happened: try again, or with "
                  "a longer limit"
                : meaning_of(-status);
        return failure(-status, culprit(request, raw.failed), meaning);
    }
    return Point{.id = request.id,
                 .closed = std::chrono::nanoseconds{raw.closed_ns},
                 .frozen = std::chrono::nanoseconds{raw.frozen_ns}};
}

Result<std::size_t> Control::command(const DeviceId& device, std::string_view filter, std::uint32_t number,
                                     std::span<std::byte> argument) const {
    blkfilter_command raw{};
    raw.size = sizeof(raw);
    raw.device = raw_device(device);
    if (auto done = put_filter_name(raw.name, filter); !done)
        return std::unexpected(done.error());
    raw.cmd = number;
    raw.optlen = static_cast<std::uint32_t>(argument.size());
    raw.opt = argument.empty() ? 0 : address_of(argument.data());

    if (const int status = transport_->ioctl(BLKFILTER_IOC_COMMAND, &raw); status < 0)
        return command_failed(-status, device_name(device), filter, number);
    return std::min<std::size_t>(raw.optlen, argument.size());
}

} // namespace blkfilter
