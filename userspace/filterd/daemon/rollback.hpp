// SPDX-License-Identifier: MIT
/// @file
/// What was there before an apply that is undone unless somebody confirms it.
#pragma once

#include "daemon/notice.hpp"
#include "engine/engine.hpp"

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <set>
#include <vector>

namespace filterd {

/// Survives filterd's end, in a file. Filters that are attached again begin anew; what they knew is lost.
class Rollback {
public:
    using Clock = std::chrono::steady_clock;

    Rollback(Engine& engine, std::filesystem::path file, Tell tell);

    [[nodiscard]] bool is_pending() const { return deadline_.has_value(); }
    /// Until it is undone; 0 when that is due.
    [[nodiscard]] std::optional<std::chrono::seconds> left(Clock::time_point now = Clock::now()) const;

    /// From now on changes are noted.
    void begin(Clock::time_point deadline);
    /// A device's stack is about to be changed. Noted first: we may be killed in between. What filterd itself
    /// has changed before, with nobody else in between, is undone together with this.
    void note(const blkfilter::Stack& before);
    /// What was noted last was changed: it has @p generation now. Nothing: it was not.
    void note_done(std::optional<std::uint64_t> generation);

    /// What was done stays.
    void confirm();
    /// Makes all stacks as they were, in reverse; a stack that somebody has changed since stays as it is.
    /// From then on these @p devices are left alone.
    void undo(std::set<blkfilter::DeviceId> devices);

    /// Nobody has asked since an undo for what the files say of this device.
    [[nodiscard]] bool leaves_alone(const blkfilter::DeviceId& device) const {
        return alone_.contains(device);
    }
    /// Now somebody has.
    void leave_none_alone();

private:
    struct Change {
        blkfilter::Stack before;
        std::uint64_t generation; ///< 0: not known whether it was changed
    };
    /// The change that was noted last and is not done yet.
    struct Begun {
        std::size_t place;
        std::uint64_t generation; ///< that it had before
    };

    void load();
    void find_generations();
    void save() const;
    void undo(const Change& change) const;

    Engine& engine_;
    std::filesystem::path file_;
    Tell tell_;
    std::optional<Clock::time_point> deadline_;
    std::vector<Change> changes_;
    std::set<blkfilter::DeviceId> alone_;
    Begun begun_{};
};

} // namespace filterd
