// SPDX-License-Identifier: MIT
/// @file
/// What lasts: each with a number, how far it has come, and how it ended.
#pragma once

#include <blkfilter/error.hpp>

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

namespace filterd::control {

/// For one thread. The last 100 that have ended are remembered.
class Jobs {
public:
    using Ended = std::function<void()>;

    std::uint64_t begin(std::string what);
    void progress(std::uint64_t job, std::uint32_t thousandths, std::string text);
    void end(std::uint64_t job, blkfilter::Result<nlohmann::json> result);

    /// All, from old to new.
    [[nodiscard]] nlohmann::json list() const;
    /// With its result. ENOENT: there is no such job, or it ended long ago.
    [[nodiscard]] blkfilter::Result<nlohmann::json> show(std::uint64_t job) const;
    /// Calls @p ended when the job has; at once when it has already.
    void when_ended(std::uint64_t job, Ended ended);

private:
    using Time = std::chrono::system_clock::time_point;
    struct Job {
        std::string what;
        std::uint32_t thousandths{};
        std::string text{};
        Time started{};
        std::optional<Time> ended{};
        std::optional<blkfilter::Result<nlohmann::json>> result{};
        std::vector<Ended> waiting{};
    };

    static nlohmann::json describe(std::uint64_t number, const Job& job);

    std::map<std::uint64_t, Job> jobs_;
    std::uint64_t last_{};
};

/// "2026-11-21T12:00:00Z"
std::string to_text(std::chrono::system_clock::time_point time);

} // namespace filterd::control
