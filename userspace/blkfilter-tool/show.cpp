// SPDX-License-Identifier: MIT
#include "arguments.hpp"
#include "commands.hpp"
#include "output.hpp"

#include <blkfilter/control.hpp>

#include <cerrno>
#include <fmt/format.h>
#include <iostream>
#include <memory>

namespace blkfilter::tool {

namespace {

template <class T>
void print(const T& values, bool as_json) {
    const std::span view{values};
    if (as_json)
        std::cout << json_of(view).dump(2) << '\n';
    else
        std::cout << table_of(view);
}

Result<void> show_version() {
    const auto version = ask(&Control::version);
    if (!version)
        return std::unexpected(version.error());
    std::cout << fmt::format("interface {}\nhook {}\nnode-ioctls {}\n", version->interface,
                             version->hook_active ? "active" : "idle", version->node_ioctls ? "yes" : "no");
    return {};
}

Result<void> show_filters(bool as_json) {
    const auto filters = ask(&Control::filters);
    if (!filters)
        return std::unexpected(filters.error());
    print(*filters, as_json);
    return {};
}

Result<void> show_devices(bool as_json) {
    const auto devices = ask(&Control::devices);
    if (!devices)
        return std::unexpected(devices.error());
    print(*devices, as_json);
    return {};
}

Result<void> show_all_stacks(bool as_json) {
    const auto control = Control::open();
    if (!control)
        return std::unexpected(control.error());
    const auto devices = control->devices();
    if (!devices)
        return std::unexpected(devices.error());
    std::vector<NamedStack> stacks;
    for (const auto& device : *devices) {
        auto stack = control->stack(device.device);
        // It went away after it had been listed.
        if (!stack && stack.error().code == ENODEV)
            continue;
        if (!stack)
            return std::unexpected(stack.error());
        stacks.push_back({device.name, std::move(*stack)});
    }
    print(stacks, as_json);
    return {};
}

} // namespace

void add_show_commands(CLI::App& app, Commands& commands) {
    auto* version = app.add_subcommand("version", "The core that is loaded");
    commands.emplace_back(version, show_version);

    const auto add = [&](const char* name, const char* help, Result<void> (*show)(bool)) {
        auto* command = app.add_subcommand(name, help);
        auto as_json = std::make_shared<bool>(false);
        command->add_flag("--json", *as_json, "Print JSON");
        commands.emplace_back(command, [=] { return show(*as_json); });
    };
    add("filters", "Filters that loaded modules have registered", show_filters);
    add("devices", "Devices that have filters", show_devices);
    add("list", "The stacks of all devices, with statistics", show_all_stacks);
}

} // namespace blkfilter::tool
