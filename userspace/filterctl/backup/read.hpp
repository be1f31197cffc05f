// SPDX-License-Identifier: MIT
/// @file
/// Checking a backup.
#pragma once

#include "backup/store.hpp"

#include <functional>
#include <string>
#include <vector>

namespace filterctl::backup {

/// Checks all that a backup consists of: its chain of manifests, and of each file size, checksum, structure
/// and what it says is behind it. @p told: before a file is read.
Result<void> verify(const Store& store, std::uint64_t number,
                    const std::function<void(const std::string&)>& told);

/// Whether the files of a chain are there, as large as they were; their data is not read. "failed".
Result<void> check_files(const Store& store, const std::vector<Manifest>& chain);

} // namespace filterctl::backup
