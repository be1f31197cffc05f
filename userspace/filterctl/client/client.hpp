// SPDX-License-Identifier: MIT
/// @file
/// A client of filterd's control socket (docs/control-protocol.md).
#pragma once

#include "client/connection.hpp"

#include <cstdint>
#include <functional>

namespace filterctl {

/// The version of the protocol that we speak.
inline constexpr std::uint64_t protocol_version = 1;

inline constexpr std::string_view usual_socket = "/run/filterd/control.sock";

/// How far a request has come.
struct Progress {
    std::uint64_t job; ///< 0: none
    std::uint64_t thousandths;
    std::string text;
};

/// One connection; one request after the other.
class Client {
public:
    /// Connects, and hears who answers. Errors: "unreachable"; "timeout"; "failed": it speaks another
    /// protocol, or is not filterd.
    static Result<Client> connect(const std::string& path, std::chrono::milliseconds limit);

    /// The daemon's version, as in "0.1.0".
    [[nodiscard]] const std::string& version() const { return version_; }

    using OnProgress = std::function<void(const Progress&)>;

    /// Sends a request and waits for its reply; @p params is an object. Errors: those of the daemon; those of
    /// Connection; "failed": what came is not the protocol.
    Result<Json> call(std::string_view method, const Json& params, const Deadline& deadline,
                      const OnProgress& on_progress = {});

    /// Takes an event; returns whether more are wanted.
    using OnEvent = std::function<bool(const Json& event)>;

    /// Asks for events and hands each to @p on_event, until it wants no more. @p on_begin is called when the
    /// daemon has said that they come from now on, which it need not say. Errors: as of call().
    Result<void> watch(const Deadline& deadline, const OnEvent& on_event,
                       const std::function<void()>& on_begin);

private:
    explicit Client(Connection connection) : connection_{std::move(connection)} {}

    Result<void> greet(const std::string& path, const Deadline& deadline);
    Result<std::uint64_t> send(std::string_view method, const Json& params);
    Result<Json> receive(std::uint64_t id, const Deadline& deadline);

    Connection connection_;
    std::string version_;
    std::uint64_t last_id_{};
};

} // namespace filterctl
