// SPDX-License-Identifier: MIT
/// @file
/// How far a request has come, for whoever waits for it.
#pragma once

#include "client/client.hpp"

#include <chrono>
#include <functional>
#include <ostream>

namespace filterctl {

/// "12.5 %".
std::string percent_of(std::uint64_t thousandths);

/// Shows the progress of one request that takes over a second: on a terminal a bar in one line, which goes
/// when the request has ended; elsewhere a line a second. It may be told as often as one likes.
class ProgressDisplay {
public:
    using Clock = std::chrono::steady_clock;
    using Now = std::function<Clock::time_point()>;

    /// @p now: what tells the time.
    ProgressDisplay(std::ostream& stream, bool terminal, Now now = Clock::now);
    ProgressDisplay(const ProgressDisplay&) = delete;
    ProgressDisplay& operator=(const ProgressDisplay&) = delete;
    /// Takes the bar off.
    ~ProgressDisplay();

    void show(const Progress& progress);

private:
    std::ostream* stream_;
    Now now_;
    Clock::time_point shown_; ///< or begun
    bool terminal_;
    bool bar_is_there_{};
};

} // namespace filterctl
