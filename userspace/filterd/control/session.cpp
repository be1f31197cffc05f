// SPDX-License-Identifier: MIT
#include "control/session.hpp"

#include <algorithm>
#include <cerrno>

namespace filterd::control {

using nlohmann::json;

bool Peer::may_change(std::optional<gid_t> control_group) const {
    return uid == 0 || (control_group &&
                        (gid == *control_group || std::ranges::find(groups, *control_group) != groups.end()));
}

Session::Session(Peer peer, Handle handle, Send send)
    : peer_{std::move(peer)}, handle_{std::move(handle)}, send_{std::move(send)} {}

bool Session::receive(std::string_view bytes) {
    if (!reader_.add(bytes)) {
        send_(error_line({}, {.code = EINVAL, .message = "a line is too long: at most 64 KiB"}));
        return false;
    }
    while (const auto line = reader_.next()) {
        if (line->size() > most_line_bytes) {
            send_(error_line({}, {.code = EINVAL, .message = "a line is too long: at most 64 KiB"}));
            return false;
        }
        if (auto request = parse_request(*line))
            waiting_.push_back(std::move(*request));
        else
            send_(error_line({}, request.error()));
    }
    work();
    return true;
}

void Session::work() {
    while (!waiting_.empty() && working_.size() < most_at_once) {
        const auto request = std::move(waiting_.front());
        waiting_.pop_front();
        if (working_.contains(request.id) || watching_.contains(request.id)) {
            send_(error_line(request.id,
                             {.code = EINVAL, .message = "a request with this id is being worked on"}));
            continue;
        }
        working_.insert(request.id);
        handle_(request);
    }
}

bool Session::end(std::uint64_t id) {
    return working_.erase(id) != 0;
}

void Session::reply(std::uint64_t id, const json& result) {
    if (!end(id))
        return;
    send_(result_line(id, result));
    work();
}

void Session::refuse(std::uint64_t id, const blkfilter::Error& error, const json& details) {
    if (!end(id))
        return;
    send_(error_line(id, error, details));
    work();
}

void Session::progress(std::uint64_t id, const json& progress) {
    if (working_.contains(id))
        send_(progress_line(id, progress));
}

void Session::watch(std::uint64_t id) {
    if (!end(id))
        return;
    watching_.insert(id);
    work();
}

void Session::event(const json& event) {
    for (const auto id : watching_)
        send_(event_line(id, event));
}

} // namespace filterd::control
