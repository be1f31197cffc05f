// SPDX-License-Identifier: MIT
/// @file
/// Lines over a Unix stream socket, with deadlines.
#pragma once

#include "client/failure.hpp"

#include <blkfilter/file_descriptor.hpp>

#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace filterctl {

/// Until when to wait; nothing: for ever.
using Deadline = std::optional<std::chrono::steady_clock::time_point>;

/// So many seconds from now; a negative number is none, a huge one a century.
std::chrono::steady_clock::time_point in_seconds(double seconds);

/// The socket of the daemon.
class Connection {
public:
    /// Errors: "unreachable", nobody listens there; "timeout".
    static Result<Connection> open(const std::string& path, std::chrono::milliseconds limit);

    explicit Connection(blkfilter::FileDescriptor socket) : socket_{std::move(socket)} {}

    /// Sends a line, to which it adds the newline. Errors: "unreachable", the other side has closed;
    /// "timeout", it did not read for as long as open() waits.
    Result<void> send(std::string line);

    /// The next line, without its newline. Errors: "unreachable", the other side has closed, be it within a
    /// line; "timeout"; "failed", a line that does not end.
    Result<std::string> receive(const Deadline& deadline);

private:
    Result<void> receive_some(const Deadline& deadline);

    blkfilter::FileDescriptor socket_;
    std::string received_;
    std::size_t searched_{}; ///< so much of it has no newline
};

} // namespace filterctl
