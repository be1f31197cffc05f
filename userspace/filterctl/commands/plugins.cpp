// SPDX-License-Identifier: MIT
#include "commands/commands.hpp"
#include "output/records.hpp"

#include <algorithm>
#include <fmt/format.h>
#include <memory>

namespace filterctl {

namespace {

std::string plugins_view(const Json& reply) {
    return table_of(list_of(reply, "plugins"),
                    {"name", "version", "noun", "filter", "module", "state", "why"});
}

/// The commands of a plugin are one line each, whatever else a record has.
std::string plugin_view(const Json& reply) {
    const auto& plugin = member(reply, "plugin");
    auto record = plugin;
    record.erase("commands");
    auto view =
        lines_of(record, {"name", "version", "description", "noun", "filter", "module", "state", "why"});
    for (const auto& command : list_of(plugin, "commands"))
        view += fmt::format("command: filterctl {} {}: {}\n", text_of(plugin, "noun"),
                            text_of(command, "name"), text_of(command, "description"));
    return view;
}

Result<ExitCode> show(Session& session, const std::string& name) {
    const auto reply = session.ask("plugins", Json::object(), soon);
    if (!reply)
        return std::unexpected(reply.error());
    const auto& plugins = list_of(*reply, "plugins");
    const auto found =
        std::ranges::find_if(plugins, [&](const Json& plugin) { return text_of(plugin, "name") == name; });
    if (found == plugins.end())
        return fail("not-found", fmt::format("there is no plugin '{}'", name));
    session.show({{"plugin", *found}}, plugin_view);
    return ExitCode::done;
}

} // namespace

void add_plugin_commands(CommandLine& line) {
    const auto name = std::make_shared<std::string>();
    auto* noun = line.add_noun("plugin", "Plugins of filterd");
    line.add_command(noun, "list", "All that the configuration uses", [](Session& session) {
        return session.ask_and_show("plugins", Json::object(), soon, plugins_view);
    });
    auto* show_command = line.add_command(noun, "show", "One of them, with its commands",
                                          [=](Session& session) { return show(session, *name); });
    auto* reset_command = line.add_command(
        noun, "reset", "Try one again that was left out for its crashes", [=](Session& session) {
            return session.ask_and_show("plugin-reset", {{"plugin", *name}}, for_ever, nothing_view);
        });
    for (auto* command : {show_command, reset_command})
        line.add_argument(command, "NAME", *name, "Of the plugin", Hint::Kind::plugin);
}

} // namespace filterctl
