// SPDX-License-Identifier: MIT
/// @file
/// A snapshot as the plugin has it in its table.
#pragma once

#include "snapshots.hpp"

#include <atomic>
#include <thread>

namespace filterd::snapshots {

/// One that is being made, or is watched. Its members are the table's lock's, but for what never changes:
/// all of the record but `taken`, and what the watcher alone has.
struct Snapshots::Live {
    explicit Live(Record from) : record{std::move(from)}, meter{record.policy} {}

    Record record;
    Meter meter;
    Usage usage{};
    std::uint64_t coming_bytes{}; ///< of storage that is just being made: others must not count with it
    bool is_silent{};             ///< the kernel does not say how it is, which was logged
    std::atomic<bool> ends{};
    std::atomic<bool> destroying{}; ///< by us: that it ends is no surprise
    std::thread watcher{};          ///< none while it is being made
};

inline Usage usage_of(const blkfilter::blksnap::SnapshotStatistics& statistics) {
    return {.storage_bytes = statistics.storage_sectors * blkfilter::sector_bytes,
            .used_bytes = statistics.used_sectors * blkfilter::sector_bytes};
}

/// There is no such snapshot any more, as the kernel says of one, or as the whole module does that has gone.
inline bool has_ended(const blkfilter::Error& error) {
    return error.code == ESRCH || error.code == ENODEV;
}

} // namespace filterd::snapshots
