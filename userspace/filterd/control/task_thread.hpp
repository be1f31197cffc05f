// SPDX-License-Identifier: MIT
/// @file
/// A thread that does one thing after the other.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>

namespace filterd::control {

class TaskThread {
public:
    TaskThread();
    TaskThread(const TaskThread&) = delete;
    TaskThread& operator=(const TaskThread&) = delete;
    /// What runs is waited for; what has not begun is dropped.
    ~TaskThread();

    /// From any thread.
    void post(std::function<void()> task);
    /// Nothing runs and nothing waits.
    [[nodiscard]] bool is_idle() const;

private:
    void run();

    mutable std::mutex mutex_;
    std::condition_variable changed_;
    std::deque<std::function<void()>> queue_;
    bool busy_{};
    bool stopping_{};
    std::thread thread_;
};

} // namespace filterd::control
