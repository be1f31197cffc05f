// SPDX-License-Identifier: MIT
#include "client/progress.hpp"

#include <gtest/gtest.h>
#include <sstream>

namespace filterctl {

namespace {

using namespace std::chrono_literals;

/// A display whose clock stands still unless it is moved.
class Display {
public:
    explicit Display(bool terminal) : display_{std::in_place, stream_, terminal, [this] { return now_; }} {}

    std::string after(std::chrono::milliseconds time, const Progress& progress) {
        now_ += time;
        display_->show(progress);
        return take();
    }
    std::string end() {
        display_.reset();
        return take();
    }

private:
    std::string take() {
        auto text = stream_.str();
        stream_.str("");
        return text;
    }

    std::ostringstream stream_;
    ProgressDisplay::Clock::time_point now_{};
    std::optional<ProgressDisplay> display_;
};

TEST(Progress, is_a_line_a_second_where_there_is_no_terminal) {
    Display display{false};
    EXPECT_EQ(display.after(999ms, {7, 100, "sda"}), "");
    EXPECT_EQ(display.after(1ms, {7, 125, "sda"}), "job 7: 12.5 % sda\n");
    EXPECT_EQ(display.after(999ms, {7, 500, "sda"}), "");
    EXPECT_EQ(display.after(1ms, {0, 1001, "b\nc"}), "100.0 % b c\n");
    EXPECT_EQ(display.end(), "");
}

TEST(Progress, is_a_bar_on_a_terminal_that_goes_at_the_end) {
    Display display{true};
    EXPECT_EQ(display.after(999ms, {7, 100, "sda"}), "");
    EXPECT_EQ(display.after(1ms, {7, 500, "sda"}), "\r\033[K[###############...............]  50.0 % sda");
    EXPECT_EQ(display.after(99ms, {7, 900, "sda"}), "");
    EXPECT_EQ(display.after(1ms, {7, 1000, "\033[2Jx"}),
              "\r\033[K[##############################] 100.0 %  [2Jx");
    EXPECT_EQ(display.end(), "\r\033[K");
}

TEST(Progress, leaves_nothing_when_it_was_quick) {
    Display display{true};
    EXPECT_EQ(display.after(500ms, {7, 500, "sda"}), "");
    EXPECT_EQ(display.end(), "");
}

} // namespace

} // namespace filterctl
