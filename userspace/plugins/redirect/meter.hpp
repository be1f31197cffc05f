// SPDX-License-Identifier: MIT
/// @file
/// How fast a migration comes forward, and whether it ever ends.
#pragma once

#include <blkfilter/redirect.hpp>

#include <chrono>
#include <cstdint>
#include <deque>
#include <optional>
#include <string>

namespace filterd::redirects {

/// Where a migration leads to, by what was seen of it lately.
struct Outlook {
    enum class Kind {
        unknown,   ///< it has not been seen for long enough, or does not copy just now
        in_sync,   ///< nothing is left to be copied
        converges, ///< what is left becomes less
        diverges,  ///< what is copied becomes dirty again as fast
        stalls,    ///< something is left, and nothing is copied
    };

    Kind kind{Kind::unknown};
    std::uint64_t bytes_per_second{};           ///< that were copied
    std::optional<std::chrono::seconds> left{}; ///< until nothing is; only when it converges
};

/// "converges"
std::string_view to_string(Outlook::Kind kind);

/// Watches one migration. What it was told longer ago than half a minute does not count any more.
class Meter {
public:
    /// To be called every second or so.
    void look(const blkfilter::redirect::Status& status);

    [[nodiscard]] Outlook outlook() const;

private:
    struct Sample {
        std::chrono::nanoseconds time;
        std::uint64_t remaining_bytes;
        std::uint64_t copied_bytes;
    };

    std::deque<Sample> samples_;
};

/// Its numbers change.
bool is_copying(blkfilter::redirect::State state);

/// "4.0 GiB"
std::string bytes_text(std::uint64_t bytes);

/// "1h 02m", "3m 20s", "9s"
std::string time_text(std::chrono::seconds time);

/// How far it is, in thousandths.
std::uint32_t thousandths_of(const blkfilter::redirect::Status& status);

/// A line for people: "1.0 GiB of 4.0 GiB, 312.0 MiB/s, 9s left".
std::string progress_text(const blkfilter::redirect::Status& status, const Outlook& outlook);

} // namespace filterd::redirects
