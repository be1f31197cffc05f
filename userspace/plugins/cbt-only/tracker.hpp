// SPDX-License-Identifier: MIT
/// @file
/// The tracker of the device that a call is about, as libblkfilter has it: what it sends goes through
/// filterd.
#pragma once

#include <filterd/plugin.hpp>

#include <blkfilter/cbt.hpp>
#include <blkfilter/control.hpp>

#include <cstdint>
#include <utility>

namespace filterd::cbt {

inline constexpr std::uint64_t sector_bytes = 512;

/// The value, or a Failure.
template <class T>
T value_of(blkfilter::Result<T> result) {
    if (!result)
        throw Failure{result.error().code, result.error().message};
    return *std::move(result);
}

inline void expect_done(const blkfilter::Result<void>& result) {
    if (!result)
        throw Failure{result.error().code, result.error().message};
}

/// Lives no longer than the call.
class CalledTracker {
public:
    explicit CalledTracker(Call& call);
    CalledTracker(const CalledTracker&) = delete;
    CalledTracker& operator=(const CalledTracker&) = delete;
    ~CalledTracker() = default;

    const blkfilter::cbt::Tracker* operator->() const { return &tracker_; }

private:
    blkfilter::Control control_;
    blkfilter::cbt::Tracker tracker_;
};

} // namespace filterd::cbt
