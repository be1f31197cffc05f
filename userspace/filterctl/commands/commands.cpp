// SPDX-License-Identifier: MIT
#include "commands/commands.hpp"

namespace filterctl {

bool CommandLine::has_noun(const std::string& name) const {
    return !app->get_subcommands([&](const CLI::App* one) { return one->check_name(name); }).empty();
}

CLI::App* CommandLine::add_noun(const std::string& name, const std::string& help) const {
    return app->add_subcommand(name, help)->require_subcommand(1);
}

CLI::App* CommandLine::add_command(CLI::App* parent, const std::string& name, const std::string& help,
                                   Run run) {
    auto* command = parent->add_subcommand(name, help);
    commands.emplace_back(command, std::move(run));
    return command;
}

CLI::Option* CommandLine::add_argument(CLI::App* command, const std::string& name, std::string& value,
                                       const std::string& help, Hint::Kind kind) {
    auto* option = command->add_option(name, value, help)->required();
    hints.emplace(option, Hint{.kind = kind});
    return option;
}

} // namespace filterctl
