// SPDX-License-Identifier: MIT
#include "commands/arguments.hpp"
#include "commands/commands.hpp"
#include "output/document.hpp"
#include "output/views.hpp"

#include <fmt/format.h>
#include <memory>

namespace filterctl {

namespace {

/// Prints events until there were enough or the time is over, which is a failure only when a number of them
/// was asked for.
Result<ExitCode> watch(Session& session, const std::optional<std::uint64_t>& count) {
    const auto client = session.client();
    if (!client)
        return std::unexpected(client.error());
    std::uint64_t seen = 0;
    const auto print = [&](const Json& event) {
        session.output().print(session.globals().json ? line_document_of(event) : event_view(event));
        session.output().flush();
        ++seen;
        return !count || seen < *count;
    };
    const auto watched =
        (*client)->watch(session.deadline(for_ever), print, [&] { session.say("watching"); });
    if (watched || (watched.error().code == "timeout" && !count))
        return ExitCode::done;
    auto failure = watched.error();
    if (count && failure.code == "timeout")
        failure.message = fmt::format("{} of {} events came in time", seen, *count);
    return std::unexpected(std::move(failure));
}

} // namespace

void add_watch_command(CommandLine& line) {
    const auto count = std::make_shared<std::optional<std::uint64_t>>();
    auto* command = line.add_command(line.app, "watch", "Print events as they happen",
                                     [=](Session& session) { return watch(session, *count); });
    command->add_option("--count", *count, "End after so many events")
        ->check(count_complaint)
        ->type_name("NUMBER");
}

} // namespace filterctl
