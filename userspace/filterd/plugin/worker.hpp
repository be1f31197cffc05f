// SPDX-License-Identifier: MIT
/// @file
/// The thread that a plugin's functions are called by.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>

namespace filterd::plugin {

/// One call to a plugin. It must own all that it uses: when it is given up, it outlives whoever wanted it.
struct Task {
    std::string what;                     ///< for crash notes and messages
    std::function<void()> work;           ///< on the plugin's thread
    std::function<void(bool done)> ended; ///< once: done, or given up; on whatever thread
};

/// Runs tasks one after the other. A thread that hangs in a plugin is never ended, as nothing can: it is left
/// alone, and the process ends without it.
class Worker {
public:
    using Clock = std::chrono::steady_clock;

    explicit Worker(const std::string& plugin);
    Worker(const Worker&) = delete;
    Worker& operator=(const Worker&) = delete;
    ~Worker();

    /// A task is given up when it has not ended at @p deadline; at once while the plugin hangs. From any
    /// thread.
    void post(Task task, Clock::time_point deadline);

    /// The same, and waits. False: given up.
    bool call(std::string what, std::function<void()> work, std::chrono::milliseconds limit);

    /// Gives up what is late. To be called now and then when post() is used.
    void expire(Clock::time_point now = Clock::now());

    /// It has nothing to do.
    [[nodiscard]] bool is_idle() const;

    /// What it hangs in: a task that was given up and has not returned.
    [[nodiscard]] std::optional<std::string> hangs_in() const;

private:
    struct State;
    std::shared_ptr<State> state_;
};

} // namespace filterd::plugin
