// SPDX-License-Identifier: MIT
#include "commands/arguments.hpp"
#include "commands/commands.hpp"
#include "output/views.hpp"

#include <algorithm>
#include <fmt/format.h>
#include <memory>

namespace filterctl {

namespace {

struct Arguments {
    bool prune{};
    bool detailed{};
    std::vector<std::string> named;
    std::string rollback_after;
};

bool has_steps(const Json& reply) {
    return std::ranges::any_of(list_of(reply, "plan"),
                               [](const Json& device) { return !list_of(device, "steps").empty(); });
}

Json prune_params(const Arguments& arguments) {
    Json params{{"prune", arguments.prune || !arguments.named.empty()}};
    if (!arguments.named.empty())
        params["named"] = arguments.named;
    return params;
}

Result<ExitCode> plan(Session& session, const Arguments& arguments) {
    const auto reply = session.ask("plan", prune_params(arguments), a_while);
    if (!reply)
        return std::unexpected(reply.error());
    session.show(*reply, plan_view);
    if (!has_steps(*reply)) {
        session.say("nothing to do: all devices that are there are as the files say");
        return ExitCode::done;
    }
    return arguments.detailed ? ExitCode::pending : ExitCode::done;
}

/// Prints what was done; of what was done in part, that.
Result<Json> ask_for_change(Session& session, const char* method, const Json& params) {
    auto reply = session.ask(method, params, for_ever);
    if (reply)
        session.show(*reply, plan_view);
    else if (!session.globals().json)
        session.show(reply.error().details, plan_view);
    return reply;
}

Result<ExitCode> apply(Session& session, const Arguments& arguments) {
    auto params = prune_params(arguments);
    const auto seconds = parse_seconds(arguments.rollback_after);
    if (seconds)
        params["rollback_after_seconds"] = *seconds;
    const auto reply = ask_for_change(session, "apply", params);
    if (!reply)
        return std::unexpected(reply.error());
    if (!is_true(*reply, "changed"))
        session.say("nothing was to be done");
    else if (seconds)
        session.say(fmt::format("undone in {} s unless you say: filterctl confirm", *seconds));
    return ExitCode::done;
}

Result<ExitCode> confirm(Session& session) {
    const auto done = session.ask_and_show("confirm", Json::object(), for_ever, nothing_view);
    if (done)
        session.say("what was applied stays");
    return done;
}

Result<ExitCode> roll_back(Session& session) {
    const auto reply = ask_for_change(session, "rollback", Json::object());
    if (!reply)
        return std::unexpected(reply.error());
    session.say("what was applied is undone");
    return ExitCode::done;
}

Result<ExitCode> diff(Session& session) {
    return session.ask_and_show("diff", Json::object(), a_while, diff_view);
}

} // namespace

void add_plan_commands(CommandLine& line) {
    const auto arguments = std::make_shared<Arguments>();
    const auto add_prune = [&](CLI::App* command) {
        command->add_flag("--prune", arguments->prune, "Filters that no file declares any more go");
        auto* named = command->add_option("--prune-named", arguments->named,
                                          "As --prune; these go even if their history is lost with them");
        line.hints.emplace(named->type_name("FILTER"), Hint{.kind = Hint::Kind::filter});
    };
    auto* plan_command =
        line.add_command(line.app, "plan", "What 'apply' would do; the files are read as they are now",
                         [=](Session& session) { return plan(session, *arguments); });
    add_prune(plan_command);
    plan_command->add_flag("--detailed-exitcode", arguments->detailed,
                           "Exit code 20 when there is something to do");

    auto* apply_command =
        line.add_command(line.app, "apply", "Read the files, and make the stacks what they say",
                         [=](Session& session) { return apply(session, *arguments); });
    apply_command->alias("reload");
    add_prune(apply_command);
    apply_command
        ->add_option("--rollback-after", arguments->rollback_after,
                     "Undo it after this time, such as 60s or 5m, unless 'confirm' comes before")
        ->check(seconds_complaint)
        ->type_name("TIME");

    line.add_command(line.app, "confirm", "What 'apply --rollback-after' did stays", confirm);
    line.add_command(line.app, "rollback", "What 'apply --rollback-after' did is undone now", roll_back);
    line.add_command(line.app, "diff", "What the kernel has and the files say, where they differ", diff);
}

} // namespace filterctl
