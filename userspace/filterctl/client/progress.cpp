// SPDX-License-Identifier: MIT
#include "client/progress.hpp"

#include <algorithm>
#include <fmt/format.h>

namespace filterctl {

std::string percent_of(std::uint64_t thousandths) {
    return fmt::format("{}.{} %", thousandths / 10, thousandths % 10);
}

namespace {

constexpr std::chrono::seconds quiet{1};
/// A bar that is there moves so often at most: a copy has thousands of words.
constexpr std::chrono::milliseconds redrawn{100};
constexpr std::uint64_t all = 1000;

/// To the line's first column, and nothing behind the cursor.
constexpr std::string_view take_off = "\r\033[K";

/// The text of a plugin, fit for one line of a terminal.
std::string clean(std::string text) {
    std::ranges::replace_if(text, [](unsigned char c) { return c < ' ' || c == 0x7f; }, ' ');
    return text;
}

std::string bar_of(const Progress& progress, std::uint64_t thousandths) {
    constexpr std::uint64_t width = 30;
    constexpr std::size_t longest_text = 36;
    const auto filled = thousandths * width / all;
    return fmt::format("[{:#<{}}{:.<{}}] {:>7} {}", "", filled, "", width - filled, percent_of(thousandths),
                       clean(progress.text.substr(0, longest_text)));
}

} // namespace

ProgressDisplay::ProgressDisplay(std::ostream& stream, bool terminal, Now now)
    : stream_{&stream}, now_{std::move(now)}, shown_{now_()}, terminal_{terminal} {}

ProgressDisplay::~ProgressDisplay() {
    if (bar_is_there_)
        *stream_ << take_off << std::flush;
}

void ProgressDisplay::show(const Progress& progress) {
    const auto now = now_();
    if (now - shown_ < (bar_is_there_ ? Clock::duration{redrawn} : Clock::duration{quiet}))
        return;
    shown_ = now;
    const auto thousandths = std::min(progress.thousandths, all);
    if (terminal_) {
        bar_is_there_ = true;
        *stream_ << take_off << bar_of(progress, thousandths) << std::flush;
    } else {
        const auto job = progress.job ? fmt::format("job {}: ", progress.job) : std::string{};
        *stream_ << fmt::format("{}{} {}\n", job, percent_of(thousandths), clean(progress.text))
                 << std::flush;
    }
}

} // namespace filterctl
