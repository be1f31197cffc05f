// SPDX-License-Identifier: MIT
/// @file
/// The event loop of the daemon, on sd-event.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <systemd/sd-event.h>
#include <vector>

namespace filterd::control {

/// What waits for something; it stops when it is destroyed.
class Source {
public:
    using Callback = std::function<void(std::uint32_t events)>;

    Source(const Source&) = delete;
    Source& operator=(const Source&) = delete;
    ~Source();

    /// For a file: EPOLLIN, EPOLLOUT.
    void listen(std::uint32_t events) const;

private:
    friend class Loop;
    explicit Source(Callback callback) : callback_{std::move(callback)} {}

    Callback callback_;
    sd_event_source* source_{};
};

/// For the thread that runs it, but for post().
class Loop {
public:
    /// Errors: std::system_error.
    Loop();
    Loop(const Loop&) = delete;
    Loop& operator=(const Loop&) = delete;
    ~Loop();

    [[nodiscard]] sd_event* handle() const { return event_; }

    std::unique_ptr<Source> watch(int file, std::uint32_t events, Source::Callback callback);
    /// Again and again.
    std::unique_ptr<Source> every(std::chrono::milliseconds period, const std::function<void()>& callback);
    /// A signal that is blocked in all threads.
    std::unique_ptr<Source> on_signal(int signal, const std::function<void()>& callback);

    /// To be done by the loop's thread, soon. From any thread.
    void post(std::function<void()> task);

    /// Until end().
    void run();
    void end();

private:
    void run_posted();

    sd_event* event_{};
    int wakeup_{-1};
    std::mutex mutex_;
    std::vector<std::function<void()>> posted_;
    std::unique_ptr<Source> mailbox_;
};

} // namespace filterd::control
