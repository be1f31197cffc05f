// SPDX-License-Identifier: MIT
#include "commands.hpp"
#include "exit_code.hpp"

#include <exception>
#include <iostream>
#include <utility>

namespace blkfilter::tool {

namespace {

ExitCode run(int argc, char** argv) {
    CLI::App app{"Filters on live block devices, through /dev/blkfilter", "blkfilter-tool"};
    app.require_subcommand(1);
    app.footer("Exit codes: 0 done, 1 failed, 2 usage, 4 no such thing, 5 refused, 6 timeout.");
    app.failure_message([](const CLI::App*, const CLI::Error& error) {
        return std::string{"blkfilter-tool: "} + error.what() + ": see --help\n";
    });
    Commands commands;
    add_show_commands(app, commands);
    add_stack_commands(app, commands);
    add_point_command(app, commands);
    add_event_command(app, commands);
    add_rule_commands(app, commands);
    add_filter_commands(app, commands);
    add_cbt_commands(app, commands);

    try {
        app.parse(argc, argv);
    } catch (const CLI::ParseError& error) {
        return app.exit(error) == 0 ? ExitCode::done : ExitCode::usage;
    }
    for (const auto& [command, action] : commands) {
        if (!command->parsed())
            continue;
        const auto result = action();
        if (result)
            return ExitCode::done;
        std::cerr << "blkfilter-tool: " << result.error().message << '\n';
        return exit_code_of(result.error().code);
    }
    return ExitCode::usage;
}

} // namespace

} // namespace blkfilter::tool

int main(int argc, char** argv) {
    try {
        return std::to_underlying(blkfilter::tool::run(argc, argv));
    } catch (const std::exception& error) {
        std::cerr << "blkfilter-tool: " << error.what() << '\n';
        return std::to_underlying(blkfilter::tool::ExitCode::failed);
    }
}
