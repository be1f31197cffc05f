// SPDX-License-Identifier: MIT
#include "control/loop.hpp"

#include <cerrno>
#include <ctime>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <system_error>
#include <unistd.h>
#include <utility>

namespace filterd::control {

namespace {

void require(int result, const char* what) {
    if (result < 0)
        throw std::system_error{-result, std::generic_category(), what};
}

} // namespace

Source::~Source() {
    sd_event_source_disable_unref(source_);
}

void Source::listen(std::uint32_t events) const {
    require(sd_event_source_set_io_events(source_, events), "sd_event_source_set_io_events");
}

Loop::Loop() {
    require(sd_event_new(&event_), "sd_event_new");
    wakeup_ = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (wakeup_ < 0)
        throw std::system_error{errno, std::generic_category(), "eventfd"};
    mailbox_ = watch(wakeup_, EPOLLIN, [this](std::uint32_t) { run_posted(); });
}

Loop::~Loop() {
    mailbox_.reset();
    close(wakeup_);
    sd_event_unref(event_);
}

std::unique_ptr<Source> Loop::watch(int file, std::uint32_t events, Source::Callback callback) {
    std::unique_ptr<Source> source{new Source{std::move(callback)}};
    const auto handler = [](sd_event_source*, int, std::uint32_t revents, void* data) {
        static_cast<Source*>(data)->callback_(revents);
        return 0;
    };
    require(sd_event_add_io(event_, &source->source_, file, events, handler, source.get()),
            "sd_event_add_io");
    return source;
}

std::unique_ptr<Source> Loop::every(std::chrono::milliseconds period, const std::function<void()>& callback) {
    std::unique_ptr<Source> source{new Source{{}}};
    auto* raw = source.get();
    const auto usec = static_cast<std::uint64_t>(std::chrono::microseconds{period}.count());
    raw->callback_ = [=](std::uint32_t) {
        static_cast<void>(sd_event_source_set_time_relative(raw->source_, usec));
        static_cast<void>(sd_event_source_set_enabled(raw->source_, SD_EVENT_ONESHOT));
        callback();
    };
    const auto handler = [](sd_event_source*, std::uint64_t, void* data) {
        static_cast<Source*>(data)->callback_(0);
        return 0;
    };
    require(sd_event_add_time_relative(event_, &source->source_, CLOCK_MONOTONIC, usec, 0, handler, raw),
            "sd_event_add_time_relative");
    return source;
}

std::unique_ptr<Source> Loop::on_signal(int signal, const std::function<void()>& callback) {
    std::unique_ptr<Source> source{new Source{[=](std::uint32_t) { callback(); }}};
    const auto handler = [](sd_event_source*, const signalfd_siginfo*, void* data) {
        static_cast<Source*>(data)->callback_(0);
        return 0;
    };
    require(sd_event_add_signal(event_, &source->source_, signal, handler, source.get()),
            "sd_event_add_signal");
    return source;
}

void Loop::post(std::function<void()> task) {
    const std::uint64_t one = 1;
    const std::scoped_lock lock{mutex_};
    posted_.push_back(std::move(task));
    static_cast<void>(::write(wakeup_, &one, sizeof(one)));
}

void Loop::run_posted() {
    std::uint64_t count = 0;
    static_cast<void>(::read(wakeup_, &count, sizeof(count)));
    std::vector<std::function<void()>> tasks;
    {
        const std::scoped_lock lock{mutex_};
        tasks.swap(posted_);
    }
    for (const auto& task : tasks)
        task();
}

void Loop::run() {
    require(sd_event_loop(event_), "sd_event_loop");
}

void Loop::end() {
    static_cast<void>(sd_event_exit(event_, 0));
}

} // namespace filterd::control
