// SPDX-License-Identifier: MIT
#include "commands/session.hpp"

#include "client/progress.hpp"
#include "output/document.hpp"

#include <fmt/format.h>

namespace filterctl {

std::string nothing_view(const Json&) {
    return {};
}

Result<Client*> Session::client() {
    constexpr std::chrono::seconds connect_limit{5};
    if (!client_) {
        auto connected = Client::connect(globals_->socket, connect_limit);
        if (!connected)
            return std::unexpected(std::move(connected.error()));
        client_ = std::move(*connected);
    }
    return &*client_;
}

Deadline Session::deadline(const std::optional<double>& usual_seconds) const {
    const auto& seconds = globals_->timeout_seconds ? globals_->timeout_seconds : usual_seconds;
    return seconds ? Deadline{in_seconds(*seconds)} : Deadline{};
}

Result<Json> Session::ask(std::string_view method, const Json& params,
                          const std::optional<double>& usual_seconds) {
    const auto connected = client();
    if (!connected)
        return std::unexpected(connected.error());
    ProgressDisplay display{*talk_, talk_is_terminal_};
    return (*connected)->call(method, params, deadline(usual_seconds), [&](const Progress& progress) {
        display.show(progress);
    });
}

void Session::show(const Json& reply, View view) const {
    output_->print(globals_->json ? document_of(reply) : view(reply));
}

Result<ExitCode> Session::ask_and_show(std::string_view method, const Json& params,
                                       const std::optional<double>& usual_seconds, View view) {
    const auto reply = ask(method, params, usual_seconds);
    if (!reply)
        return std::unexpected(reply.error());
    show(*reply, view);
    return ExitCode::done;
}

void Session::say(std::string_view line) const {
    // Where both go to one terminal, in the order in which they were said.
    output_->flush();
    *talk_ << line << '\n' << std::flush;
}

void Session::say(const Failure& failure) const {
    if (globals_->json && !output_->is_used())
        output_->print(document_of({{"error", json_of(failure)}}));
    say(fmt::format("filterctl: {}", failure.message));
}

} // namespace filterctl
