// SPDX-License-Identifier: MIT
/// @file
/// A folder of backups: one folder for each, with a number; what is not whole ends with ".partial".
///
///     FOLDER/0001/manifest.json, data.qcow2      a full backup of the device "data"
///     FOLDER/0002/manifest.json, data.qcow2      what has changed since; ../0001/data.qcow2 is behind it
///     FOLDER/0003.partial/state.json, ...        one that is being made, or was interrupted
///
/// A state.json beside a manifest.json: the backup is whole, and its snapshot may still be there.
#pragma once

#include "backup/manifest.hpp"

#include <blkfilter/file_descriptor.hpp>

#include <filesystem>
#include <optional>
#include <vector>

namespace filterctl::backup {

/// How far a backup has come that is not whole.
struct State {
    Manifest manifest{}; ///< of what is copied already; then of what is not, without file_bytes and sha256
    std::string label{}; ///< of the snapshot
    std::uint64_t offset_bytes{}; ///< of the first device that is not copied: up to here it is
};

Json to_json(const State& state);
Result<State> state_of(const Json& json, const std::string& where);

class Store {
public:
    /// Of a folder that is there; with @p to_write it is locked against other writers. "not-found";
    /// "refused": somebody else writes there.
    static Result<Store> open(const std::filesystem::path& folder, bool to_write);

    [[nodiscard]] const std::filesystem::path& folder() const { return folder_; }
    [[nodiscard]] std::filesystem::path folder_of(std::uint64_t number) const;
    [[nodiscard]] std::filesystem::path partial_folder_of(std::uint64_t number) const;
    [[nodiscard]] std::filesystem::path manifest_of(std::uint64_t number) const;

    /// Numbers of whole backups, ascending.
    [[nodiscard]] const std::vector<std::uint64_t>& numbers() const { return numbers_; }
    /// One that is not whole.
    [[nodiscard]] const std::optional<std::uint64_t>& partial() const { return partial_; }

    /// Numbers of whole ones whose snapshots may still be there.
    [[nodiscard]] const std::vector<std::uint64_t>& kept() const { return kept_; }

    /// "not-found", "failed".
    [[nodiscard]] Result<Manifest> read(std::uint64_t number) const;
    /// A backup and all that are behind it, the full one first. "failed": one is missing, or is another one
    /// than it was.
    [[nodiscard]] Result<std::vector<Manifest>> chain(std::uint64_t number) const;

    [[nodiscard]] Result<State> read_partial() const;
    Result<void> write_partial(const State& state);
    /// Makes what was written a whole backup, whose state is kept until its snapshot has ended. "failed".
    Result<void> complete(const Manifest& manifest);
    [[nodiscard]] Result<State> read_kept(std::uint64_t number) const;
    /// The snapshot of a whole one has ended.
    Result<void> forget(std::uint64_t number);
    Result<void> discard_partial();

private:
    Store(std::filesystem::path folder, blkfilter::FileDescriptor lock)
        : folder_{std::move(folder)}, lock_{std::move(lock)} {}

    void look();
    [[nodiscard]] Result<State> read_state(const std::filesystem::path& folder) const;

    std::filesystem::path folder_;
    blkfilter::FileDescriptor lock_;
    std::vector<std::uint64_t> numbers_;
    std::vector<std::uint64_t> kept_;
    std::optional<std::uint64_t> partial_;
};

} // namespace filterctl::backup
