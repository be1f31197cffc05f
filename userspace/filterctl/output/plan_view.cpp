// SPDX-License-Identifier: MIT
#include "output/records.hpp"
#include "output/views.hpp"

#include <fmt/format.h>

namespace filterctl {

namespace {

/// "data (sda1)"; the one of them that there is.
std::string title_of(const Json& device) {
    const auto name = text_of(device, "name");
    const auto node = text_of(device, "device");
    return name.empty() || node.empty() ? name + node : fmt::format("{} ({})", name, node);
}

/// "+ cbt-only 450000 block_size=65536", or nothing where there is no filter.
std::string side_of(char sign, const Json& filter, const Json& side) {
    if (!side.is_object())
        return {};
    const auto& options = member(side, "options");
    return fmt::format("  {} {} {}{}\n", sign, text_of(filter, "filter"), cell_of(member(side, "altitude")),
                       options.is_null() ? "" : " " + cell_of(options));
}

} // namespace

std::string steps_view(const Json& steps) {
    std::string lines;
    for (const auto& step : steps)
        lines += fmt::format("  {} {}: {}\n", text_of(step, "kind"), text_of(step, "filter"),
                             text_of(step, "text"));
    return lines;
}

std::string plan_view(const Json& reply) {
    std::string view;
    for (const auto& device : list_of(reply, "plan")) {
        auto lines = steps_view(list_of(device, "steps"));
        if (const auto error = text_of(device, "error"); !error.empty())
            lines += fmt::format("  failed: {}\n", error);
        if (!lines.empty())
            view += title_of(device) + '\n' + lines;
    }
    return view;
}

std::string diff_view(const Json& reply) {
    std::string view;
    for (const auto& device : list_of(reply, "diff")) {
        std::string lines;
        for (const auto& filter : list_of(device, "filters")) {
            const auto& kernel = member(filter, "kernel");
            const auto& file = member(filter, "file");
            if (kernel != file)
                lines += side_of('-', filter, kernel) + side_of('+', filter, file);
        }
        if (!lines.empty())
            view += title_of(device) + '\n' + lines;
    }
    return view;
}

std::string event_view(const Json& event) {
    auto line = text_of(event, "time") + ' ' + text_of(event, "type");
    for (const auto* key : {"device", "filter"})
        if (member(event, key).is_string())
            line += ' ' + text_of(event, key);
    if (const auto& job = member(event, "job"); !job.is_null())
        line += " job " + cell_of(job);
    return line + ": " + text_of(event, "text") + '\n';
}

} // namespace filterctl
