// SPDX-License-Identifier: MIT
#include "output/records.hpp"
#include "output/views.hpp"

#include <fmt/format.h>

namespace filterctl {

namespace {

/// From here on it is worth saying how old a status is: filterd has something else to do.
constexpr std::uint64_t old_seconds = 3;

std::string head_of(const Json& status) {
    const auto& service = member(status, "service");
    const auto& kernel = member(status, "kernel");
    auto head = fmt::format("filterd {}, pid {}, since {}; ", text_of(service, "version"),
                            number_of(service, "pid"), text_of(service, "started"));
    head += member(kernel, "error").is_string()
                ? fmt::format("kernel: {}\n", text_of(kernel, "error"))
                : fmt::format("kernel interface {}, hook {}\n", number_of(kernel, "interface"),
                              is_true(kernel, "hook_active") ? "active" : "idle");
    if (const auto age = number_of(service, "age_seconds"); age >= old_seconds)
        head += fmt::format("filterd is busy: this is what it saw {} s ago\n", age);
    const auto& config = member(status, "config");
    if (member(config, "loaded").is_null())
        head += list_of(config, "errors").empty()
                    ? "configuration: not read yet\n"
                    : "configuration: wrong since filterd has started, so that nothing is changed\n";
    for (const auto& error : list_of(config, "errors"))
        head += fmt::format("configuration: {}\n", cell_of(error));
    return head;
}

/// A row of the table; @p entry is a filter of a stack, or null where there is none.
Json row_of(const Json& name, const Json& device, const Json& state, const Json& entry) {
    return {{"name", name},
            {"device", device},
            {"state", state},
            {"filter", member(entry, "filter")},
            {"altitude", member(entry, "altitude")},
            {"ownership", member(entry, "ownership")},
            {"filter_state", member(entry, "state")},
            {"first_bio", member(entry, "from_first_bio")},
            {"read", member(entry, "read")},
            {"write", member(entry, "write")}};
}

void add_rows(const Json& name, const Json& state, const Json& present, Json& rows) {
    const auto& stack = list_of(present, "stack");
    if (stack.empty())
        rows.push_back(row_of(name, member(present, "device"), state, nullptr));
    for (const auto& entry : stack)
        rows.push_back(row_of(name, member(present, "device"), state, entry));
}

Json rows_of(const Json& status) {
    auto rows = Json::array();
    for (const auto& device : list_of(status, "devices")) {
        const auto& present = list_of(device, "present");
        if (present.empty())
            add_rows(member(device, "name"), member(device, "state"), nullptr, rows);
        for (const auto& one : present)
            add_rows(member(device, "name"), member(device, "state"), one, rows);
    }
    for (const auto& other : list_of(status, "others"))
        add_rows(nullptr, nullptr, other, rows);
    return rows;
}

/// What is not as it should be on a declared device.
std::string remarks_of(const Json& device) {
    std::string remarks;
    if (member(device, "why").is_string())
        remarks += fmt::format("{}: {}: {}\n", text_of(device, "name"), text_of(device, "state"),
                               text_of(device, "why"));
    for (const auto& present : list_of(device, "present")) {
        const auto& steps = list_of(present, "steps");
        if (!steps.empty())
            remarks += fmt::format("{} ({}): 'filterctl apply' would:\n", text_of(device, "name"),
                                   text_of(present, "device"));
        remarks += steps_view(steps);
    }
    return remarks;
}

std::string tail_of(const Json& status) {
    std::string tail;
    for (const auto& device : list_of(status, "devices"))
        tail += remarks_of(device);
    for (const auto& plugin : list_of(status, "plugins"))
        if (member(plugin, "why").is_string())
            tail += fmt::format("plugin {}: {}: {}\n", text_of(plugin, "name"), text_of(plugin, "state"),
                                text_of(plugin, "why"));
    const auto& rollback = member(status, "rollback");
    if (!rollback.is_null())
        tail += fmt::format("the last 'apply' is undone in {} s unless you say: filterctl confirm\n",
                            cell_of(rollback.is_object() ? member(rollback, "seconds") : rollback));
    return tail;
}

/// "data (sda1, 8:1): in sync"; what the device is not is left out.
std::string title_of(const Json& stack) {
    const auto node = fmt::format("{}, {}", text_of(stack, "device"), text_of(stack, "number"));
    const auto name = text_of(stack, "name");
    auto title = name.empty() ? node : fmt::format("{} ({})", name, node);
    for (const auto* key : {"state", "why", "coverage"})
        if (member(stack, key).is_string())
            title += fmt::format("{} {}", key == std::string_view{"state"} ? ":" : ";", text_of(stack, key));
    return title + '\n';
}

} // namespace

std::string status_view(const Json& status) {
    auto table = RecordTable{}.page(rows_of(status));
    if (!table.empty())
        table.insert(0, "\n");
    auto tail = tail_of(status);
    if (!tail.empty())
        tail.insert(0, "\n");
    return head_of(status) + table + tail;
}

std::string stack_view(const Json& stack) {
    const auto& entries = list_of(stack, "stack");
    auto view = title_of(stack) + table_of(entries, {"filter", "altitude", "ownership", "state",
                                                     "from_first_bio", "read", "write", "options"});
    for (const auto& entry : entries)
        for (const auto& [key, value] : member(entry, "status").items())
            view += fmt::format("{}: {}: {}\n", text_of(entry, "filter"), key, cell_of(value));
    return view + steps_view(list_of(stack, "steps"));
}

} // namespace filterctl
