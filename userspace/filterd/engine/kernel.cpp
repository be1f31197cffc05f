// SPDX-License-Identifier: MIT
#include "engine/kernel.hpp"

namespace filterd {

using blkfilter::Control;
using blkfilter::DeviceId;
using blkfilter::Result;

namespace {

/// What @p use makes of the control device, or why there is none.
template <class Use>
auto with(const Result<const Control*>& control, Use&& use) -> decltype(use(**control)) {
    if (!control)
        return std::unexpected(control.error());
    return use(**control);
}

} // namespace

Result<const Control*> KernelEngine::control() const {
    const std::scoped_lock lock{mutex_};
    if (!control_) {
        auto opened = Control::open();
        if (!opened)
            return std::unexpected(opened.error());
        control_.emplace(std::move(*opened));
    }
    return &*control_;
}

Result<std::vector<blkfilter::FilterInfo>> KernelEngine::filters() const {
    return with(control(), [](const Control& control) { return control.filters(); });
}

Result<blkfilter::Stack> KernelEngine::stack(const DeviceId& device) const {
    return with(control(), [&](const Control& control) { return control.stack(device); });
}

Result<std::uint64_t> KernelEngine::set_stack(const DeviceId& device,
                                              std::span<const blkfilter::EntryRequest> entries,
                                              const blkfilter::StackChange& change) {
    return with(control(),
                [&](const Control& control) { return control.set_stack(device, entries, change); });
}

Result<std::vector<DeviceId>> KernelEngine::devices() const {
    return with(control(), [](const Control& control) -> Result<std::vector<DeviceId>> {
        const auto devices = control.devices();
        if (!devices)
            return std::unexpected(devices.error());
        std::vector<DeviceId> ids;
        ids.reserve(devices->size());
        for (const auto& device : *devices)
            ids.push_back(device.device);
        return ids;
    });
}

Result<blkfilter::Version> KernelEngine::version() const {
    return with(control(), [](const Control& control) { return control.version(); });
}

Result<std::uint32_t> KernelEngine::add_rule(const blkfilter::RuleRequest& rule) {
    return with(control(), [&](const Control& control) { return control.add_rule(rule); });
}

Result<void> KernelEngine::remove_rule(std::uint32_t id) {
    return with(control(), [&](const Control& control) { return control.remove_rule(id); });
}

Result<std::vector<blkfilter::Rule>> KernelEngine::rules() const {
    return with(control(), [](const Control& control) { return control.rules(); });
}

Result<blkfilter::Point> KernelEngine::point(const blkfilter::PointRequest& request) {
    return with(control(), [&](const Control& control) { return control.point(request); });
}

Result<std::size_t> KernelEngine::command(const DeviceId& device, std::string_view filter,
                                          std::uint32_t number, std::span<std::byte> argument) {
    return with(control(),
                [&](const Control& control) { return control.command(device, filter, number, argument); });
}

} // namespace filterd
