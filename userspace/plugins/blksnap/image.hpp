// SPDX-License-Identifier: MIT
/// @file
/// What is in an image, and how it is mounted.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace filterd::snapshots {

/// A file system, or another thing that says what it is, in an image.
struct Content {
    std::uint32_t partition{}; ///< 0: the whole image
    std::uint64_t offset_bytes{};
    std::uint64_t size_bytes{}; ///< 0: to the end
    std::string type{};         ///< as of mount, such as "ext4"; empty: not known
    std::string uuid{};
};

/// All of an image: itself, or its partitions. Errors: std::system_error.
std::vector<Content> contents_of(const std::string& node);

/// Options that an image's file system is mounted with: it is not written to, its log is not replayed, and it
/// may have the id of another one that is mounted. Nothing: it is no file system, or one that cannot be
/// mounted beside its origin.
std::optional<std::string> mount_options_of(const std::string& type);

} // namespace filterd::snapshots
