// SPDX-License-Identifier: MIT
#include "client/client.hpp"

#include <algorithm>
#include <fmt/format.h>

namespace filterctl {

namespace {

/// The longest request that the daemon takes, with its newline.
constexpr std::size_t longest_request = 64U << 10;

/// The beginning of a line that nobody expected, fit for a terminal.
std::string excerpt(std::string_view line) {
    constexpr std::size_t most = 60;
    std::string start{line.substr(0, most)};
    std::ranges::replace_if(start, [](char c) { return c < ' ' || c > '~'; }, '?');
    return fmt::format("'{}{}'", start, line.size() > most ? "..." : "");
}

std::unexpected<Failure> not_the_protocol(std::string_view line) {
    return fail("failed", fmt::format("filterd sent what is not the protocol: {}", excerpt(line)));
}

/// A line as an object; anything else is discarded.
Json object_of(const std::string& line) {
    auto json = Json::parse(line, nullptr, false);
    return json.is_object() ? json : Json(Json::value_t::discarded);
}

} // namespace

Result<Client> Client::connect(const std::string& path, std::chrono::milliseconds limit) {
    const Deadline deadline = std::chrono::steady_clock::now() + limit;
    auto connection = Connection::open(path, limit);
    if (!connection)
        return std::unexpected(std::move(connection.error()));
    Client client{std::move(*connection)};
    if (auto greeted = client.greet(path, deadline); !greeted)
        return std::unexpected(std::move(greeted.error()));
    return client;
}

Result<void> Client::greet(const std::string& path, const Deadline& deadline) {
    const auto line = connection_.receive(deadline);
    if (!line)
        return std::unexpected(line.error());
    const auto hello = object_of(*line);
    const auto& protocol = member(hello, "protocol");
    if (!member(hello, "filterd").is_string() || !protocol.is_number_unsigned())
        return fail("failed", fmt::format("what listens at {} is not filterd: {}", path, excerpt(*line)));
    version_ = text_of(hello, "filterd");
    const auto spoken = protocol.get<std::uint64_t>();
    if (spoken == protocol_version)
        return {};
    return fail("failed", fmt::format("filterd {} speaks protocol {}, this filterctl {}: the newer one is {}",
                                      version_, spoken, protocol_version,
                                      spoken > protocol_version ? "filterd; update filterctl"
                                                                : "filterctl; update or restart filterd"));
}

Result<std::uint64_t> Client::send(std::string_view method, const Json& params) {
    Json request{{"id", ++last_id_}, {"method", method}};
    if (!params.empty())
        request["params"] = params;
    auto line = line_of(request);
    if (line.size() >= longest_request)
        return fail("invalid", "the request is too long: at most 64 KiB of arguments");
    if (auto sent = connection_.send(std::move(line)); !sent)
        return std::unexpected(std::move(sent.error()));
    return last_id_;
}

/// The next message about a request, as an object; its error as ours.
Result<Json> Client::receive(std::uint64_t id, const Deadline& deadline) {
    for (;;) {
        auto line = connection_.receive(deadline);
        if (!line)
            return std::unexpected(std::move(line.error()));
        auto message = object_of(*line);
        const auto& of = member(message, "id");
        // An error without a number is about what the daemon could not read: it must be ours.
        if (message.is_discarded() || !(of.is_number() || (of.is_null() && message.contains("error"))))
            return not_the_protocol(*line);
        if (of.is_number() && of != id)
            continue;
        if (message.contains("error"))
            return std::unexpected(failure_of(message["error"]));
        if (!message.contains("result") && !message.contains("progress") && !message.contains("event"))
            return not_the_protocol(*line);
        return message;
    }
}

Result<Json> Client::call(std::string_view method, const Json& params, const Deadline& deadline,
                          const OnProgress& on_progress) {
    const auto id = send(method, params);
    if (!id)
        return std::unexpected(id.error());
    for (;;) {
        auto message = receive(*id, deadline);
        if (!message)
            return message;
        if (message->contains("result"))
            return std::move((*message)["result"]);
        const auto& progress = member(*message, "progress");
        if (on_progress && progress.is_object())
            on_progress(
                {number_of(progress, "job"), number_of(progress, "thousandths"), text_of(progress, "text")});
    }
}

Result<void> Client::watch(const Deadline& deadline, const OnEvent& on_event,
                           const std::function<void()>& on_begin) {
    const auto id = send("watch", Json::object());
    if (!id)
        return std::unexpected(id.error());
    for (;;) {
        const auto message = receive(*id, deadline);
        if (!message)
            return std::unexpected(message.error());
        if (message->contains("result"))
            on_begin();
        else if (message->contains("event") && !on_event((*message)["event"]))
            return {};
    }
}

} // namespace filterctl
