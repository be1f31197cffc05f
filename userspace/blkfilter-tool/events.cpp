// SPDX-License-Identifier: MIT
#include "commands.hpp"
#include "output.hpp"

#include <blkfilter/events.hpp>

#include <cerrno>
#include <fmt/format.h>
#include <iostream>
#include <memory>
#include <optional>

namespace blkfilter::tool {

namespace {

constexpr double longest_timeout_seconds = 1e9;

struct Arguments {
    bool follow{};
    std::optional<std::uint64_t> count;
    std::optional<double> timeout_seconds;
    bool json{};
};

void print(const Event& event, bool as_json) {
    const auto device = event.device ? device_name(*event.device) : std::string{};
    std::cout << (as_json ? json_of(event, device).dump() : line_of(event, device)) << '\n' << std::flush;
}

/// Prints events until there were enough or the time is over.  ETIMEDOUT when a
/// count was asked for and did not come.
Result<void> watch(const Arguments& arguments) {
    using Clock = std::chrono::steady_clock;
    auto stream = EventStream::open();
    if (!stream)
        return std::unexpected(stream.error());
    std::cerr << "listening\n";

    std::optional<Clock::time_point> deadline;
    if (arguments.timeout_seconds)
        deadline = Clock::now() + std::chrono::round<Clock::duration>(
                                      std::chrono::duration<double>{*arguments.timeout_seconds});
    const auto left = [&]() -> std::optional<std::chrono::milliseconds> {
        if (!deadline)
            return {};
        return std::chrono::ceil<std::chrono::milliseconds>(
            std::max(*deadline - Clock::now(), Clock::duration::zero()));
    };

    for (std::uint64_t seen = 0; !arguments.count || seen < *arguments.count; ++seen) {
        const auto next = stream->next(left());
        if (!next)
            return std::unexpected(next.error());
        const auto& event = *next;
        if (!event) {
            if (!arguments.count)
                return {};
            return std::unexpected(
                Error{.code = ETIMEDOUT,
                      .message = fmt::format("events: {} of {} came in time", seen, *arguments.count)});
        }
        print(*event, arguments.json);
    }
    return {};
}

} // namespace

void add_event_command(CLI::App& app, Commands& commands) {
    const auto arguments = std::make_shared<Arguments>();
    auto* command = app.add_subcommand(
        "events", "Print events as they happen; says 'listening' on stderr before the first");
    auto* end = command->add_option_group("end");
    end->add_flag("--follow", arguments->follow, "Go on for ever");
    end->add_option("--count", arguments->count, "End after so many events");
    end->add_option("--timeout", arguments->timeout_seconds, "End after so many seconds")
        ->check(CLI::Range(0.0, longest_timeout_seconds));
    end->require_option(1, 0);
    command->add_flag("--json", arguments->json, "Print one JSON object a line");
    commands.emplace_back(command, [=] { return watch(*arguments); });
}

} // namespace blkfilter::tool
