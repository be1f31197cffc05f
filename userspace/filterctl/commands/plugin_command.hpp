// SPDX-License-Identifier: MIT
/// @file
/// Nouns that plugins add: commands with typed arguments, as the daemon describes them.
#pragma once

#include "commands/commands.hpp"

#include <string>
#include <vector>

namespace filterctl {

/// An argument, as struct filterd_argument of <filterd/plugin.h> has it.
struct PluginArgument {
    std::string name;
    std::string type; ///< "text", "number", "bytes", "boolean" or "choice"; one we do not know is a text
    std::string description;
    bool required;
    bool positional;
    bool repeated;
    std::vector<std::string> choices;
};

struct PluginCommand {
    std::string name;
    std::string description;
    bool changes; ///< something
    bool device;  ///< it is about one: the first argument
    bool devices; ///< it is about several: the first arguments, or --group
    bool mount;   ///< it says how to mount something
    std::vector<PluginArgument> arguments;
};

struct PluginNoun {
    std::string noun;
    std::string plugin;
    std::string description;
    std::string why; ///< it cannot be used; empty when it can
    std::vector<PluginCommand> commands;
};

/// Of the reply of "plugins". What has no name that can be typed is left out.
std::vector<PluginNoun> nouns_of(const Json& reply);

/// Adds a noun with its commands and their arguments. False: there is such a noun already.
bool add_plugin_noun(CommandLine& line, const PluginNoun& noun);

/// Sends a command and prints its answer, page by page. @p request is the first page's.
Result<ExitCode> run_plugin_command(Session& session, Json request,
                                    const std::optional<double>& usual_seconds);

} // namespace filterctl
