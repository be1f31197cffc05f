// SPDX-License-Identifier: MIT
/// @file
/// A test of a plugin's parts: what they log and throw, and what comes of their threads.
#pragma once

#include <filterd/plugin.hpp>

#include <algorithm>
#include <chrono>
#include <functional>
#include <gtest/gtest.h>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace filterd::test {

class PartsTest : public testing::Test {
protected:
    /// From any thread.
    void say(const std::string& line) {
        const std::scoped_lock lock{mutex};
        lines.push_back(line);
    }

    bool was_said(const std::string& what) {
        const std::scoped_lock lock{mutex};
        return std::ranges::any_of(lines,
                                   [&](const auto& line) { return line.find(what) != std::string::npos; });
    }

    /// Of the Failure that @p action throws, whose text is said then; 0: it throws none.
    int code_of(const std::function<void()>& action) {
        try {
            action();
        } catch (const Failure& failure) {
            say(failure.what());
            return failure.code();
        }
        return 0;
    }

    /// Within ten seconds.
    static bool comes(const std::function<bool()>& condition) {
        for (int i = 0; i < 1000 && !condition(); ++i)
            std::this_thread::sleep_for(std::chrono::milliseconds{10});
        return condition();
    }

    std::mutex mutex;
    std::vector<std::string> lines;
};

} // namespace filterd::test
