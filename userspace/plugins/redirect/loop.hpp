// SPDX-License-Identifier: MIT
/// @file
/// A loop device that is there as long as somebody has it open.
#pragma once

#include <blkfilter/file_descriptor.hpp>

#include <cstdint>
#include <filesystem>

namespace filterd::redirects {

struct LoopDevice {
    blkfilter::FileDescriptor open{}; ///< goes with the last one who has it open
    std::filesystem::path node{};
};

/// Of the first @p bytes of a file, past the page cache. EOPNOTSUPP: its file system cannot do that; others
/// of the system.
LoopDevice make_loop_device(const std::filesystem::path& file, std::uint64_t bytes);

} // namespace filterd::redirects
