// SPDX-License-Identifier: MIT
/// @file
/// Files that are written whole, or not at all.
#pragma once

#include <filesystem>
#include <string_view>

namespace blkfilter::common {

/// What the content of a file outlives.
enum class Durability {
    process, ///< this process, however it ends
    machine, ///< the machine as well
};

/// Whoever reads the file, now or after we were killed, finds all of the old content or all of the new one.
/// Errors: std::system_error, which names the file.
void replace_file(const std::filesystem::path& path, std::string_view text, Durability durability);

/// What was made, renamed or removed in a folder is on the disk then. Errors: std::system_error.
void sync_folder(const std::filesystem::path& folder);

} // namespace blkfilter::common
