// SPDX-License-Identifier: MIT
#include "commands/session.hpp"

#include "output/document.hpp"

#include <chrono>
#include <fmt/format.h>
#include <thread>

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
        was_connected_ = true;
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
    auto display = progress_display();
    auto reply = (*connected)->call(method, params, deadline(usual_seconds), [&](const Progress& progress) {
        display.show(progress);
    });
    if (!reply && reply.error().code == "unreachable")
        client_.reset();
    return reply;
}

Result<Json> Session::ask_again(std::string_view method, const Json& params,
                                const std::optional<double>& usual_seconds) {
    constexpr int tries = 20;
    constexpr std::chrono::milliseconds pause{250};
    auto reply = ask(method, params, usual_seconds);
    // One that never ran is not waited for.
    for (int i = 0; i < tries && was_connected_ && !reply && reply.error().code == "unreachable"; ++i) {
        if (i != 0)
            std::this_thread::sleep_for(pause);
        reply = ask(method, params, usual_seconds);
    }
    return reply;
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
    say(fmt::format("filterctl: {}{}", failure.message,
                    failure.code == "unreachable" ? "; 'filterctl doctor' looks into it" : ""));
}

} // namespace filterctl
