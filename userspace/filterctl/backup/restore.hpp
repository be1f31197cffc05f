// SPDX-License-Identifier: MIT
/// @file
/// Writing a backup back.
#pragma once

#include "backup/store.hpp"

#include <filesystem>
#include <functional>
#include <string>

namespace filterctl::backup {

/// Where one device of a backup is written to.
struct RestoreRequest {
    std::uint64_t number{};
    std::string device{};
    std::filesystem::path target{}; ///< a block device, or a file
    bool force{};                   ///< it is overwritten
};

/// Writes what the device was, after verify(). A file is TARGET.partial until it is whole, and its owner's
/// only; a block device is nobody else's meanwhile. "not-found": there is no such device; "refused": the
/// target is in use, or needs force; "failed": it is too small, or an Interruption came.
Result<void> restore(const Store& store, const RestoreRequest& request,
                     const std::function<void(const std::string&)>& told);

} // namespace filterctl::backup
