// SPDX-License-Identifier: MIT
/// @file
/// Migrations as the plugin has them in its tables.
#pragma once

#include "migrations.hpp"

#include <condition_variable>
#include <thread>

namespace filterd::redirects {

/// One that is watched. Its members are the table's lock's, but for what never changes and what the watcher
/// alone has.
struct Migrations::Live {
    explicit Live(Record from) : record{std::move(from)} {}

    Record record;
    Meter meter{};
    std::string trouble{};
    std::mutex cutting{}; ///< one cut-over at a time; taken before the table's lock
    bool ends{};
    std::condition_variable ended{};
    std::thread watcher{};

    // The watcher's.
    bool is_silent{};                  ///< the kernel does not say how it is, which was logged
    std::chrono::milliseconds pause{}; ///< before the next cut-over is tried
    std::chrono::steady_clock::time_point next_try{};
};

/// One of an earlier boot, or whose source was pulled after its cut-over. All is the table's lock's.
struct Migrations::Old {
    Record record;
    std::string said{};                ///< why it is not continued, the last time that was tried
    bool is_given_up{};                ///< it is tried only when somebody asks for it
    std::chrono::milliseconds pause{}; ///< before it is tried again
    std::chrono::steady_clock::time_point next_try{};
};

} // namespace filterd::redirects
