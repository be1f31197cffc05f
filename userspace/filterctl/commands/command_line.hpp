// SPDX-License-Identifier: MIT
/// @file
/// From the words of a command line to what they do.
#pragma once

#include "commands/commands.hpp"
#include "commands/plugin_command.hpp"

#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace filterctl {

/// Adds the global options, and all commands that are filterctl's own.
void add_own(CommandLine& line, Globals& globals);

/// What must be known of a command line before plugins are asked for their nouns.
struct FirstLook {
    Globals globals;
    std::string noun; ///< the first word that is no option; empty when there is none
};

/// @p words: without the program's name. What is wrong with them is not said here.
FirstLook look_at(std::span<const std::string> words);

/// Nouns of the daemon's plugins. Errors: as of Client.
Result<std::vector<PluginNoun>> ask_for_nouns(const std::string& socket, double limit_seconds);

/// Does what @p words say. @p talk is standard error.
ExitCode run(std::span<const std::string> words, Output& output, std::ostream& talk, bool talk_is_terminal);

} // namespace filterctl
