// SPDX-License-Identifier: MIT
/// @file
/// The commands of filterctl.
#pragma once

#include "commands/session.hpp"

#include <CLI/CLI.hpp>
#include <functional>
#include <map>
#include <utility>
#include <vector>

namespace filterctl {

/// What a command does once its arguments are read.
using Run = std::function<Result<ExitCode>(Session&)>;

/// What an argument may be, for completion.
struct Hint {
    enum class Kind { words, device, filter, group, plugin, job };

    Kind kind;
    std::vector<std::string> words{}; ///< with Kind::words
};

/// The command line as it is put together.
struct CommandLine {
    CLI::App* app;
    std::vector<std::pair<const CLI::App*, Run>> commands{};
    std::map<const CLI::Option*, Hint> hints{};

    [[nodiscard]] bool has_noun(const std::string& name) const;

    /// A noun, which needs a verb.
    [[nodiscard]] CLI::App* add_noun(const std::string& name, const std::string& help) const;

    /// A command below @p parent.
    CLI::App* add_command(CLI::App* parent, const std::string& name, const std::string& help, Run run);

    /// An argument that must be given by its place, read into @p value.
    CLI::Option* add_argument(CLI::App* command, const std::string& name, std::string& value,
                              const std::string& help, Hint::Kind kind);
};

/// Each adds some commands.
void add_status_command(CommandLine& line);
void add_plan_commands(CommandLine& line);
void add_watch_command(CommandLine& line);
void add_stack_commands(CommandLine& line);
void add_list_commands(CommandLine& line);
void add_plugin_commands(CommandLine& line);
void add_job_commands(CommandLine& line);
void add_group_commands(CommandLine& line);
void add_doctor_command(CommandLine& line);
void add_backup_commands(CommandLine& line);

} // namespace filterctl
