// SPDX-License-Identifier: MIT
#include "commands/stacks.hpp"

#include <algorithm>
#include <blkfilter/device_id.hpp>

namespace filterctl {

namespace {

/// What is present, behind what is declared about it.
Json stack_of(const Json& declaration, const Json& present) {
    Json stack;
    for (const auto* key : {"name", "state", "why", "coverage"})
        stack[key] = member(declaration, key);
    stack.update(present);
    return stack;
}

} // namespace

DeviceName::DeviceName(std::string text) : name{std::move(text)} {
    if (!name.starts_with('/'))
        return;
    if (const auto device = blkfilter::DeviceId::from_path(name))
        number = device->number();
}

bool DeviceName::is(std::string_view kernel_name, std::string_view kernel_number) const {
    return name == kernel_name || (!number.empty() && number == kernel_number);
}

Json stacks_of(const Json& status, const DeviceName& device) {
    auto stacks = Json::array();
    const auto add = [&](const Json& declaration, const Json& present) {
        if (!present.is_object())
            return;
        if (device.is(text_of(present, "device"), text_of(present, "number")) ||
            (declaration.is_object() && text_of(declaration, "name") == device.name))
            stacks.push_back(stack_of(declaration, present));
    };
    for (const auto& declaration : list_of(status, "devices"))
        for (const auto& present : list_of(declaration, "present"))
            add(declaration, present);
    for (const auto& other : list_of(status, "others"))
        add(nullptr, other);
    return stacks;
}

const Json& declaration_of(const Json& status, std::string_view name) {
    static const Json null;
    const auto& devices = list_of(status, "devices");
    const auto found =
        std::ranges::find_if(devices, [&](const Json& device) { return text_of(device, "name") == name; });
    return found == devices.end() ? null : *found;
}

} // namespace filterctl
