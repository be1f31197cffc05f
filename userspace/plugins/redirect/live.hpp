// SPDX-License-Identifier: MIT
/// @file
/// A migration as the plugin has it in its table.
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

} // namespace filterd::redirects
