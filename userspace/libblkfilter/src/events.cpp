// SPDX-License-Identifier: MIT
#include "raw.hpp"

#include <blkfilter/events.hpp>

#include <cstring>
#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <unistd.h>

namespace blkfilter {

static_assert(static_cast<int>(EventType::filter) == BLKFILTER_EVENT_FILTER);
static_assert(static_cast<int>(Reason::failed) == BLKFILTER_REASON_FAILED);
static_assert(std::tuple_size_v<decltype(Event::data)> == sizeof(blkfilter_event::data));

namespace {

constexpr std::size_t buffer_bytes = 16384;
constexpr std::string_view what = "events";

Event event_of(const blkfilter_event& raw) {
    Event event{.type = EventType{raw.type},
                .sequence = raw.seq,
                .since_boot = std::chrono::nanoseconds{raw.time_ns},
                .device = {},
                .value = raw.value,
                .reason = Reason{raw.reason},
                .pid = raw.pid,
                .process = text_of(raw.comm),
                .name = text_of(raw.name),
                .data = {}};
    if (raw.device.diskseq != 0)
        event.device = device_of(raw.device);
    std::ranges::copy(std::as_bytes(std::span{raw.data}), event.data.begin());
    return event;
}

/// Milliseconds that poll() may still wait: rounded up, so that it does not return
/// just before the deadline.
int left_ms(std::optional<std::chrono::steady_clock::time_point> deadline) {
    if (!deadline)
        return -1;
    const auto left =
        std::chrono::ceil<std::chrono::milliseconds>(*deadline - std::chrono::steady_clock::now());
    constexpr std::chrono::milliseconds longest = std::chrono::hours{24};
    return static_cast<int>(std::clamp(left, std::chrono::milliseconds{0}, longest).count());
}

} // namespace

std::string_view to_string(EventType type) {
    switch (type) {
    case EventType::lost:
        return "lost";
    case EventType::registered:
        return "registered";
    case EventType::unregistered:
        return "unregistered";
    case EventType::device_added:
        return "device-added";
    case EventType::device_removed:
        return "device-removed";
    case EventType::attached:
        return "attached";
    case EventType::detached:
        return "detached";
    case EventType::stack:
        return "stack";
    case EventType::point:
        return "point";
    case EventType::resized:
        return "resized";
    case EventType::settled:
        return "settled";
    case EventType::hook_lost:
        return "hook-lost";
    case EventType::filter:
        return "filter";
    }
    return "unknown";
}

std::string_view to_string(Reason reason) {
    switch (reason) {
    case Reason::none:
        return "";
    case Reason::request:
        return "request";
    case Reason::replaced:
        return "replaced";
    case Reason::removed:
        return "removed";
    case Reason::changed:
        return "changed";
    case Reason::unconfirmed:
        return "unconfirmed";
    case Reason::failed:
        return "failed";
    }
    return "unknown";
}

Result<EventStream> EventStream::open(const std::string& path) {
    FileDescriptor file{::open(path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC)};
    if (file.get() < 0)
        return control_not_opened(errno, path);
    return EventStream{std::move(file)};
}

Result<std::optional<Event>> EventStream::next(std::optional<std::chrono::milliseconds> timeout) {
    std::optional<std::chrono::steady_clock::time_point> deadline;
    if (timeout)
        deadline = std::chrono::steady_clock::now() + *timeout;

    for (;;) {
        if (taken_ < buffer_.size())
            return take();
        const auto filled = fill();
        if (!filled)
            return std::unexpected(filled.error());
        if (*filled)
            continue;

        pollfd ready{.fd = descriptor(), .events = POLLIN, .revents = 0};
        const int count = poll(&ready, 1, left_ms(deadline));
        if (count < 0 && errno != EINTR)
            return failure(errno, what, text_of_errno(errno));
        if (count <= 0 && deadline && std::chrono::steady_clock::now() >= *deadline)
            return std::nullopt;
    }
}

/// Reads what the kernel has; false when it has nothing.
Result<bool> EventStream::fill() {
    taken_ = 0;
    buffer_.resize(buffer_bytes);
    const auto count = read(descriptor(), buffer_.data(), buffer_.size());
    const int error = errno;
    buffer_.resize(count > 0 ? static_cast<std::size_t>(count) : 0);
    if (count > 0)
        return true;
    if (count == 0)
        return failure(EPROTO, what, "the file ends");
    if (error == EAGAIN || error == EINTR)
        return false;
    return failure(error, what, meaning_of(error));
}

/// Takes the first event out of the buffer, which is not empty.
Result<Event> EventStream::take() {
    const auto rest = std::span{buffer_}.subspan(taken_);
    blkfilter_event raw{};
    std::memcpy(&raw.size, rest.data(), std::min(sizeof(raw.size), rest.size()));
    // A newer kernel's event may be larger; what comes after ours is skipped.
    if (raw.size < sizeof(raw) || raw.size > rest.size()) {
        taken_ = buffer_.size();
        return failure(EPROTO, what,
                       fmt::format("an event of {} bytes: the loaded module blkfilter and this "
                                   "program do not fit",
                                   raw.size));
    }
    taken_ += raw.size;
    std::memcpy(&raw, rest.data(), sizeof(raw));
    return event_of(raw);
}

} // namespace blkfilter
