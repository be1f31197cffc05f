// SPDX-License-Identifier: MIT
/// @file
/// The commands of blkfilter-tool.
#pragma once

#include <blkfilter/control.hpp>
#include <blkfilter/error.hpp>

#include <CLI/CLI.hpp>
#include <functional>
#include <utility>
#include <vector>

namespace blkfilter::tool {

/// What a command does once its arguments are read.
using Run = std::function<Result<void>()>;

/// Asks the control device one question.
template <class Answer>
Result<Answer> ask(Result<Answer> (Control::*question)() const) {
    const auto control = Control::open();
    if (!control)
        return std::unexpected(control.error());
    return (*control.*question)();
}

/// Commands with their runs; one inside another comes before it.
using Commands = std::vector<std::pair<const CLI::App*, Run>>;

/// Each adds some commands to the command line, and their runs to @p commands.
void add_show_commands(CLI::App& app, Commands& commands);
void add_stack_commands(CLI::App& app, Commands& commands);
void add_point_command(CLI::App& app, Commands& commands);
void add_event_command(CLI::App& app, Commands& commands);
void add_rule_commands(CLI::App& app, Commands& commands);
void add_filter_commands(CLI::App& app, Commands& commands);
void add_cbt_commands(CLI::App& app, Commands& commands);

} // namespace blkfilter::tool
