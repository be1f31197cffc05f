// SPDX-License-Identifier: MIT
/// @file
/// One client of the control socket, without the socket.
#pragma once

#include "control/protocol.hpp"

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <sys/types.h>
#include <vector>

namespace filterd::control {

/// Who is at the other end, as the kernel says.
struct Peer {
    uid_t uid{};
    gid_t gid{};
    std::vector<gid_t> groups{};
    pid_t pid{};

    [[nodiscard]] bool may_change(std::optional<gid_t> control_group) const;
};

/// For the loop's thread.
class Session {
public:
    static constexpr std::size_t most_at_once = 8; ///< requests that are worked on
    static constexpr std::size_t most_waiting =
        256; ///< and such that wait: then the client is not read any more

    using Handle = std::function<void(const Request&)>;
    using Send = std::function<void(const std::string& line)>;

    Session(Peer peer, Handle handle, Send send);

    [[nodiscard]] const Peer& peer() const { return peer_; }

    /// What the client has written. False: the connection is to be ended.
    bool receive(std::string_view bytes);
    /// Nothing is to be read from the client for now.
    [[nodiscard]] bool is_full() const { return waiting_.size() >= most_waiting; }

    // --- answers: to a request that is worked on; nothing is sent to one that has ended ---

    void reply(std::uint64_t id, const nlohmann::json& result);
    void refuse(std::uint64_t id, const blkfilter::Error& error, const nlohmann::json& details = nullptr);
    void progress(std::uint64_t id, const nlohmann::json& progress);
    /// The request goes on for as long as the client is there, and counts no more.
    void watch(std::uint64_t id);
    void event(const nlohmann::json& event);

    [[nodiscard]] bool is_watching() const { return !watching_.empty(); }

private:
    bool end(std::uint64_t id);
    void work();

    Peer peer_;
    Handle handle_;
    Send send_;
    LineReader reader_;
    std::deque<Request> waiting_;
    std::set<std::uint64_t> working_;
    std::set<std::uint64_t> watching_;
};

} // namespace filterd::control
