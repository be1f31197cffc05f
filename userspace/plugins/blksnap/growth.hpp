// SPDX-License-Identifier: MIT
/// @file
/// When a snapshot gets more room for old data, and when somebody must be told.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>

namespace filterd::snapshots {

inline constexpr std::uint64_t mebibyte = 1 << 20;

/// Where old data goes, and how much of it.
struct Policy {
    std::string path{}; ///< a folder, or a block device, which does not grow
    bool is_device{};
    std::uint64_t limit_bytes{}; ///< of all snapshots with that path together; nothing for a device
    std::uint64_t step_bytes{};  ///< by so much it grows, more when it fills quickly or more is asked for
    std::uint32_t warn_thousandths{}; ///< of the limit
};

/// How full it is.
struct Usage {
    std::uint64_t storage_bytes{};
    std::uint64_t used_bytes{};
};

/// What is to be done now.
struct Growth {
    std::uint64_t append_bytes{};
    bool warns{};    ///< the part of the limit is reached that is warned of; said once
    bool at_limit{}; ///< more is wanted than the limit allows; said once
};

/// Goes by how full the storage is, and how fast it fills. For one thread.
class Meter {
public:
    using Clock = std::chrono::steady_clock;

    explicit Meter(Policy policy) : policy_{std::move(policy)} {}

    /// Looks at the storage now. @p others_bytes: storage of other snapshots with the same path. @p
    /// asked_bytes: the kernel has just asked for so much. It does so once, until it has got that much.
    Growth look(Clock::time_point now, const Usage& usage, std::uint64_t others_bytes,
                std::uint64_t asked_bytes = 0);

    /// It could not be appended: not again before some seconds are over.
    void failed(Clock::time_point now);

    /// Bytes a second, of the last half minute or so.
    [[nodiscard]] double rate() const { return rate_; }

    /// How long the room lasts at that rate, all that the limit allows with it; nothing: it does not fill.
    [[nodiscard]] std::optional<std::chrono::seconds> until_full(const Usage& usage,
                                                                 std::uint64_t others_bytes) const;

private:
    void measure(Clock::time_point now, std::uint64_t used_bytes);
    [[nodiscard]] std::uint64_t allowed(const Usage& usage, std::uint64_t others_bytes) const;

    Policy policy_;
    std::optional<Clock::time_point> last_;
    Clock::time_point next_try_;
    std::uint64_t last_used_{};
    std::uint64_t asked_bytes_{}; ///< by the kernel, at a time
    double rate_{};
    bool has_warned_{};
    bool was_at_limit_{};
};

} // namespace filterd::snapshots
