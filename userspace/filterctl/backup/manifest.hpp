// SPDX-License-Identifier: MIT
/// @file
/// What a backup says of itself.
#pragma once

#include "client/failure.hpp"

#include <blkfilter/blksnap.hpp>

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace filterctl::backup {

/// The change map of a device at its snapshot: where the next increment begins.
using Base = blkfilter::blksnap::MapInfo;

/// One device of a backup.
struct Copy {
    std::string device{};
    Base base{};
    std::string checkpoint{}; ///< of cbt-only, of the same instant; empty: the base says where to begin
    std::string file{};       ///< in the backup's folder
    std::uint64_t file_bytes{};
    std::string sha256{}; ///< of the file, hexadecimal
    std::uint64_t copied_bytes{};
};

struct Manifest {
    std::uint64_t number{};
    std::optional<std::uint64_t> parent{}; ///< none: a full one
    std::string parent_sha256{};           ///< of the parent's manifest
    std::string created{};
    std::string group{};
    std::vector<Copy> devices{};

    [[nodiscard]] const Copy* find(const std::string& device) const;
};

Json to_json(const Manifest& manifest);
/// "failed": it is none, or of a later version.
Result<Manifest> manifest_of(const Json& json, const std::string& where);

// --- files ---

/// Reads JSON. "not-found"; "failed": also when it is not what was written.
Result<Json> read_json(const std::filesystem::path& path);

/// Writes JSON, whole or not at all, with a checksum, and to the disk. "failed".
Result<void> write_json(const std::filesystem::path& path, Json json);

/// Of a file, by sha256sum. "failed".
Result<std::string> sha256_of(const std::filesystem::path& path);

/// What was made, renamed or removed in a folder is on the disk then. "failed".
Result<void> sync_folder(const std::filesystem::path& folder);

} // namespace filterctl::backup
