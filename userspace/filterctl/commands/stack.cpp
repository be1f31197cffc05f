// SPDX-License-Identifier: MIT
#include "commands/arguments.hpp"
#include "commands/commands.hpp"
#include "commands/stacks.hpp"
#include "output/views.hpp"

#include <algorithm>
#include <fmt/format.h>
#include <memory>

namespace filterctl {

namespace {

struct Arguments {
    std::string device;
    std::string filter;
    std::string altitude;
    std::string options;
    bool force{};
};

std::unexpected<Failure> not_found(std::string message) {
    return fail("not-found", std::move(message));
}

/// Why there is no stack to show. A device that has none is no failure.
Result<void> no_stack(Session& session, const Json& status, const DeviceName& device) {
    if (const auto& declared = declaration_of(status, device.name); declared.is_object()) {
        const auto why = text_of(declared, "why");
        return not_found(fmt::format("'{}' is declared, but {}{}{}", device.name, text_of(declared, "state"),
                                     why.empty() ? "" : ": ", why));
    }
    const auto reply = session.ask("devices", Json::object(), soon);
    if (!reply)
        return std::unexpected(reply.error());
    const bool exists = std::ranges::any_of(list_of(*reply, "devices"), [&](const Json& one) {
        return device.is(text_of(one, "device"), text_of(one, "number"));
    });
    if (!exists)
        return not_found(fmt::format("there is no device '{}'", device.name));
    session.say(fmt::format("{} has no filters", device.name));
    return {};
}

std::string stacks_view(const Json& reply) {
    std::string view;
    for (const auto& stack : list_of(reply, "stacks"))
        view += (view.empty() ? "" : "\n") + stack_view(stack);
    return view;
}

Result<ExitCode> show(Session& session, const Arguments& arguments) {
    const auto status = session.ask("status", Json::object(), soon);
    if (!status)
        return std::unexpected(status.error());
    const DeviceName device{arguments.device};
    const auto stacks = stacks_of(*status, device);
    if (stacks.empty())
        if (const auto none = no_stack(session, *status, device); !none)
            return std::unexpected(none.error());
    session.show({{"stacks", stacks}}, stacks_view);
    return ExitCode::done;
}

/// Asks for a change of one filter; @p done is said of it.
Result<ExitCode> change(Session& session, const char* method, const Json& params, std::string_view done) {
    const auto reply = session.ask(method, params, for_ever);
    if (!reply)
        return std::unexpected(reply.error());
    session.show(*reply, nothing_view);
    const bool already = member(*reply, "changed") == false;
    session.say(fmt::format("{}: {} {}{}", text_of(params, "device"), text_of(params, "filter"), done,
                            already ? " already" : ""));
    return ExitCode::done;
}

Result<ExitCode> attach(Session& session, const Arguments& arguments) {
    Json params{{"device", arguments.device}, {"filter", arguments.filter}};
    if (!arguments.altitude.empty())
        params["altitude"] = arguments.altitude;
    if (!arguments.options.empty())
        params["options"] = arguments.options;
    return change(session, "stack-attach", params, "is attached");
}

Result<ExitCode> detach(Session& session, const Arguments& arguments) {
    return change(session, "stack-detach",
                  {{"device", arguments.device}, {"filter", arguments.filter}, {"force", arguments.force}},
                  "is detached");
}

} // namespace

void add_stack_commands(CommandLine& line) {
    const auto arguments = std::make_shared<Arguments>();
    auto* noun = line.add_noun("stack", "The filters of one device");
    const auto add = [&](const char* name, const char* help,
                         Result<ExitCode> (*run)(Session&, const Arguments&)) {
        auto* command =
            line.add_command(noun, name, help, [=](Session& session) { return run(session, *arguments); });
        line.add_argument(command, "DEVICE", arguments->device, "Its declared name, the kernel's, or a path",
                          Hint::Kind::device);
        return command;
    };
    const auto add_filter = [&](CLI::App* command) {
        line.add_argument(command, "FILTER", arguments->filter, "As 'filterctl filter list' shows it",
                          Hint::Kind::filter);
    };
    add("show", "What is on it", show);

    auto* attach_command = add("attach", "Attach a filter that no file declares", attach);
    add_filter(attach_command);
    attach_command->add_option("--altitude", arguments->altitude, "The module's own without it")
        ->check(altitude_complaint)
        ->type_name("NUMBER");
    attach_command->add_option("--option", arguments->options, "What the filter is attached with");

    auto* detach_command = add("detach", "Take a filter off", detach);
    add_filter(detach_command);
    detach_command->add_flag("--force", arguments->force,
                             "Even if a file declares it, or somebody else has attached it");
}

} // namespace filterctl
