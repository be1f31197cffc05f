// SPDX-License-Identifier: MIT
#include "client/connection.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <fmt/format.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <system_error>
#include <unistd.h>

namespace filterctl {

namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

/// Far more than a page of an answer, or the status of thousands of devices.
constexpr std::size_t longest_line = 64U << 20;

std::string reason(int code) {
    return std::generic_category().message(code);
}

std::unexpected<Failure> not_connected(const std::string& path, int code) {
    switch (code) {
    case ENOENT:
    case ECONNREFUSED:
        return fail("unreachable", fmt::format("filterd does not run: {}: {}", path, reason(code)));
    case EAGAIN:
        return fail("timeout", fmt::format("filterd does not take the connection: {}", path));
    default:
        return fail("unreachable", fmt::format("{}: {}", path, reason(code)));
    }
}

/// poll()'s timeout, rounded up, so that it does not return too early.
int wait_of(const Deadline& deadline) {
    if (!deadline)
        return -1;
    constexpr milliseconds longest = std::chrono::hours{1};
    const auto left = std::chrono::ceil<milliseconds>(*deadline - Clock::now());
    return static_cast<int>(std::clamp(left, milliseconds::zero(), longest).count());
}

} // namespace

Clock::time_point in_seconds(double seconds) {
    constexpr double century = 100.0 * 366 * 24 * 3600;
    return Clock::now() + std::chrono::round<Clock::duration>(
                              std::chrono::duration<double>{std::clamp(seconds, 0.0, century)});
}

Result<Connection> Connection::open(const std::string& path, milliseconds limit) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (path.size() >= sizeof(address.sun_path))
        return fail("invalid", fmt::format("the path of the socket is too long: {}", path));
    std::memcpy(address.sun_path, path.data(), path.size());
    Connection connection{blkfilter::FileDescriptor{::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)}};
    const int socket = connection.socket_.get();
    // Of connect() too, which else waits for as long as the queue of the listener is full. 0 would be for
    // ever.
    limit = std::max(limit, milliseconds{1});
    const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(limit);
    const timeval time{.tv_sec = seconds.count(),
                       .tv_usec = std::chrono::microseconds{limit - seconds}.count()};
    if (socket < 0 || ::setsockopt(socket, SOL_SOCKET, SO_SNDTIMEO, &time, sizeof(time)) != 0 ||
        ::connect(socket, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0)
        return not_connected(path, errno);
    return connection;
}

Result<void> Connection::send(std::string line) {
    line += '\n';
    for (std::string_view rest = line; !rest.empty();) {
        const auto sent = ::send(socket_.get(), rest.data(), rest.size(), MSG_NOSIGNAL);
        if (sent >= 0)
            rest.remove_prefix(static_cast<std::size_t>(sent));
        else if (errno == EAGAIN)
            return fail("timeout", "filterd does not read the request");
        else if (errno != EINTR)
            return fail("unreachable", fmt::format("filterd has closed the connection: {}", reason(errno)));
    }
    return {};
}

Result<void> Connection::receive_some(const Deadline& deadline) {
    pollfd waiting{.fd = socket_.get(), .events = POLLIN, .revents = 0};
    const int ready = ::poll(&waiting, 1, wait_of(deadline));
    if (ready == 0 && deadline && Clock::now() >= *deadline)
        return fail("timeout", "filterd has not answered in time");
    if (ready <= 0)
        return {};
    std::array<char, 1U << 16> part;
    const auto size = ::read(socket_.get(), part.data(), part.size());
    if (size == 0)
        return fail("unreachable", received_.empty()
                                       ? "filterd has closed the connection before it had answered"
                                       : "filterd has closed the connection in the middle of an answer");
    if (size < 0 && errno != EINTR)
        return fail("unreachable", fmt::format("the connection to filterd broke: {}", reason(errno)));
    if (size > 0)
        received_.append(part.data(), static_cast<std::size_t>(size));
    return {};
}

Result<std::string> Connection::receive(const Deadline& deadline) {
    for (;;) {
        const auto end = received_.find('\n', searched_);
        if (end != std::string::npos) {
            auto line = received_.substr(0, end);
            received_.erase(0, end + 1);
            searched_ = 0;
            return line;
        }
        searched_ = received_.size();
        if (searched_ > longest_line)
            return fail("failed", "filterd sends a line that does not end");
        if (auto some = receive_some(deadline); !some)
            return std::unexpected(std::move(some.error()));
    }
}

} // namespace filterctl
