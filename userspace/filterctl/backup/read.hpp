// SPDX-License-Identifier: MIT
/// @file
/// Checking a backup, and writing it back.
#pragma once

#include "backup/store.hpp"

#include <filesystem>
#include <functional>
#include <string>

namespace filterctl::backup {

/// Checks all that a backup consists of: its chain of manifests, and of each file size, checksum, structure
/// and what it says is behind it. @p told: before a file is read.
Result<void> verify(const Store& store, std::uint64_t number,
                    const std::function<void(const std::string&)>& told);

/// Where one device of a backup is written to.
struct RestoreRequest {
    std::uint64_t number{};
    std::string device{};
    std::filesystem::path target{}; ///< a block device, or a file
    bool force{};                   ///< it is overwritten
};

/// Writes what the device was, after verify(). A file is TARGET.partial until it is whole. "refused": the
/// target is in use, or needs force; "failed": it is too small.
Result<void> restore(const Store& store, const RestoreRequest& request,
                     const std::function<void(const std::string&)>& told);

} // namespace filterctl::backup
