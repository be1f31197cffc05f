// SPDX-License-Identifier: MIT
/// @file
/// Copying ranges of an image into a qcow2 file.
#pragma once

#include "backup/nbd.hpp"

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace filterctl::backup {

struct ByteRange {
    std::uint64_t offset{};
    std::uint64_t length{};
};

/// What a copy is told about.
struct CopyCallbacks {
    /// How much of the ranges is copied, those before the beginning included. Returns whether to go on.
    std::function<bool(std::uint64_t copied_bytes)> progress;
    /// All up to here is on the disk.
    std::function<Result<void>(std::uint64_t offset_bytes)> reached;
};

struct CopyRequest {
    std::string image{};             ///< a block device, or a file
    std::vector<ByteRange> ranges{}; ///< ascending
    std::uint64_t begin_bytes{};     ///< what is before it was copied already
    std::uint64_t rate{};            ///< bytes a second at most; 0: as fast as it goes
    /// Zeroes must be written as well: something else is behind the file.
    bool writes_zeroes{};
};

/// Copies; how much of the ranges is copied then. "failed", also because progress() has said so: what is
/// copied is on the disk and was told to reached(), as far as that goes.
Result<std::uint64_t> copy_ranges(const CopyRequest& request, NbdTarget& target,
                                  const CopyCallbacks& callbacks);

} // namespace filterctl::backup
