// SPDX-License-Identifier: MIT
#include "commands/commands.hpp"
#include "output/records.hpp"

#include <fmt/format.h>
#include <memory>

namespace filterctl {

namespace {

using Milliseconds = std::chrono::duration<double, std::milli>;

std::string devices_view(const Json& reply) {
    return table_of(list_of(reply, "devices"), {"device", "number", "declared", "why"});
}

std::string links_view(const Json& reply) {
    std::string view;
    for (const auto& device : list_of(reply, "devices"))
        for (const auto& link : list_of(device, "links"))
            view += fmt::format("{} {}\n", text_of(device, "device"), cell_of(link));
    return view;
}

std::string filters_view(const Json& reply) {
    return table_of(list_of(reply, "filters"), {"name", "altitude", "module", "devices", "needs_points"});
}

std::string groups_view(const Json& reply) {
    return table_of(list_of(reply, "groups"), {"name", "devices"});
}

std::string point_view(const Json& reply) {
    const auto milliseconds = [&](const char* key) {
        return Milliseconds{std::chrono::nanoseconds{number_of(reply, key)}}.count();
    };
    return fmt::format("point {} closed {:.3f} ms frozen {:.3f} ms\n", text_of(reply, "point"),
                       milliseconds("closed_ns"), milliseconds("frozen_ns"));
}

} // namespace

void add_list_commands(CommandLine& line) {
    const auto links = std::make_shared<bool>(false);
    auto* devices = line.add_command(
        line.add_noun("device", "Block devices"), "list",
        "All that there are, and which of them are declared", [=](Session& session) {
            return session.ask_and_show("devices", Json::object(), soon, *links ? links_view : devices_view);
        });
    devices->add_flag("--links", *links, "Their links in /dev/disk instead, to declare them by");
    line.add_command(line.add_noun("filter", "Filters of the kernel's modules"), "list",
                     "All that loaded modules have registered", [](Session& session) {
                         return session.ask_and_show("filters", Json::object(), soon, filters_view);
                     });
}

void add_group_commands(CommandLine& line) {
    const auto group = std::make_shared<std::string>();
    auto* noun = line.add_noun("group", "Groups of devices, over which points are taken together");
    line.add_command(noun, "list", "All that the configuration declares", [](Session& session) {
        const auto status = session.ask("status", Json::object(), soon);
        if (!status)
            return Result<ExitCode>{std::unexpected(status.error())};
        session.show({{"groups", list_of(*status, "groups")}}, groups_view);
        return Result<ExitCode>{ExitCode::done};
    });
    auto* point = line.add_command(
        noun, "point", "Take a consistency point over all its devices", [=](Session& session) {
            return session.ask_and_show("group-point", {{"group", *group}}, for_ever, point_view);
        });
    line.add_argument(point, "NAME", *group, "As the configuration names it", Hint::Kind::group);
}

} // namespace filterctl
