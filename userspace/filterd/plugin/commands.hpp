// SPDX-License-Identifier: MIT
/// @file
/// What a plugin adds to filterctl.
#pragma once

#include <filterd/plugin.h>

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace filterd::plugin {

std::vector<const filterd_command*> commands_of(const filterd_plugin& plugin);
std::vector<const filterd_argument*> arguments_of(const filterd_command& command);
std::vector<std::string> choices_of(const filterd_argument& argument);

/// What is wrong with a plugin's noun or commands; empty: nothing.
std::string wrong_with_commands(const filterd_plugin& plugin);

/// A command, with nothing wrong, as the control socket's "plugins" shows it.
nlohmann::json describe_command(const filterd_command& command);

} // namespace filterd::plugin
