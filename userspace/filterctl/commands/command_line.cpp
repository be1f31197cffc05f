// SPDX-License-Identifier: MIT
#include "commands/command_line.hpp"
#include "commands/arguments.hpp"

#include <blkfilter-common/version.hpp>

#include <algorithm>
#include <fmt/format.h>
#include <sstream>

namespace filterctl {

namespace {

constexpr double help_limit_seconds = 1;
constexpr double noun_limit_seconds = 5;

void add_globals(CLI::App& app, Globals& globals) {
    app.add_option("--socket", globals.socket, "Where filterd listens")
        ->type_name("PATH")
        ->capture_default_str();
    app.add_flag("--json", globals.json, "Print JSON");
    app.add_option("--timeout", globals.timeout_seconds, "How long to wait for a reply, in seconds")
        ->type_name("SECONDS")
        ->check(timeout_complaint);
}

/// CLI11 wants them from behind.
std::vector<std::string> reversed(std::span<const std::string> words) {
    return {words.rbegin(), words.rend()};
}

/// The nouns of plugins for the help of all; that there are none is no failure there.
void add_nouns_for_help(CommandLine& line, const Globals& globals) {
    const auto nouns = ask_for_nouns(globals.socket, help_limit_seconds);
    if (nouns)
        for (const auto& noun : *nouns)
            add_plugin_noun(line, noun);
    else
        line.app->footer(line.app->get_footer() +
                         "\nNouns of plugins are not shown: " + nouns.error().message);
}

/// Adds the plugin's noun that was asked for.
Result<void> add_noun(CommandLine& line, const FirstLook& look) {
    const auto nouns = ask_for_nouns(look.globals.socket, noun_limit_seconds);
    if (!nouns) {
        auto failure = nouns.error();
        failure.message = fmt::format("'{}' is no noun of filterctl itself, and plugins cannot be asked: {}",
                                      look.noun, failure.message);
        return std::unexpected(std::move(failure));
    }
    const auto noun = std::ranges::find(*nouns, look.noun, &PluginNoun::noun);
    if (noun == nouns->end())
        return fail("invalid", fmt::format("there is no noun '{}': see --help", look.noun));
    if (noun->commands.empty())
        return std::unexpected(Failure{
            .code = noun->why.empty() ? "invalid" : "failed",
            .message = fmt::format("plugin '{}' {}", noun->plugin,
                                   noun->why.empty() ? "has no commands" : "cannot be used: " + noun->why)});
    add_plugin_noun(line, *noun);
    return {};
}

ExitCode run_parsed(const CommandLine& line, Session& session) {
    for (const auto& [command, action] : line.commands) {
        if (!command->parsed())
            continue;
        const auto result = action(session);
        if (result)
            return *result;
        session.say(result.error());
        return exit_code_of(result.error().code);
    }
    return ExitCode::usage;
}

} // namespace

void add_own(CommandLine& line, Globals& globals) {
    auto& app = *line.app;
    app.set_version_flag("--version", fmt::format("filterctl {}", blkfilter::common::version));
    app.require_subcommand(1);
    // Global options may come anywhere.
    app.fallthrough();
    app.footer(
        "Every command takes --json, --timeout SECONDS and --socket PATH.\n"
        "Exit codes: 0 done or already so, 1 failed, 2 usage or configuration, 3 filterd is not there,\n"
        "4 no such thing, 5 refused without --force, 6 timeout, 10 partly done, 20 changes pending.");
    app.failure_message([](const CLI::App*, const CLI::Error& error) {
        return fmt::format("filterctl: {}: see --help\n", error.what());
    });
    add_globals(app, globals);
    add_status_command(line);
    add_plan_commands(line);
    add_watch_command(line);
    add_list_commands(line);
    add_stack_commands(line);
    add_plugin_commands(line);
    add_job_commands(line);
    add_group_commands(line);
    add_doctor_command(line);
    add_backup_commands(line);
}

FirstLook look_at(std::span<const std::string> words) {
    FirstLook look;
    CLI::App app;
    app.set_help_flag();
    app.allow_extras();
    add_globals(app, look.globals);
    try {
        app.parse(reversed(words));
    } catch (const CLI::ParseError&) {
        // Said when all is parsed.
        look.globals = {};
    }
    const auto rest = app.remaining();
    const auto noun =
        std::ranges::find_if(rest, [](const std::string& word) { return !word.starts_with('-'); });
    if (noun != rest.end())
        look.noun = *noun;
    return look;
}

Result<std::vector<PluginNoun>> ask_for_nouns(const std::string& socket, double limit_seconds) {
    const auto deadline = in_seconds(limit_seconds);
    auto client = Client::connect(
        socket, std::chrono::round<std::chrono::milliseconds>(std::chrono::duration<double>{limit_seconds}));
    if (!client)
        return std::unexpected(std::move(client.error()));
    const auto reply = client->call("plugins", Json::object(), deadline);
    if (!reply)
        return std::unexpected(reply.error());
    return nouns_of(*reply);
}

ExitCode run(std::span<const std::string> words, Output& output, std::ostream& talk, bool talk_is_terminal) {
    CLI::App app{"Filters on live block devices, as filterd keeps them", "filterctl"};
    CommandLine line{.app = &app};
    Globals globals;
    add_own(line, globals);

    const auto look = look_at(words);
    if (look.noun.empty()) {
        add_nouns_for_help(line, look.globals);
    } else if (!line.has_noun(look.noun)) {
        if (const auto added = add_noun(line, look); !added) {
            Session{look.globals, output, talk, talk_is_terminal}.say(added.error());
            output.flush();
            return exit_code_of(added.error().code);
        }
    }
    try {
        app.parse(reversed(words));
    } catch (const CLI::ParseError& error) {
        std::ostringstream help;
        const int status = app.exit(error, help, talk);
        output.print(help.str());
        output.flush();
        return status == 0 ? ExitCode::done : ExitCode::usage;
    }
    Session session{globals, output, talk, talk_is_terminal};
    const auto code = run_parsed(line, session);
    output.flush();
    return code;
}

} // namespace filterctl
