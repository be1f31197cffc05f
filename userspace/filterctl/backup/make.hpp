// SPDX-License-Identifier: MIT
/// @file
/// Making a backup.
#pragma once

#include "backup/checkpoints.hpp"
#include "backup/snapshots.hpp"
#include "backup/store.hpp"
#include "commands/session.hpp"

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace filterctl::backup {

/// What a full backup is wanted of.
struct Wish {
    std::vector<std::string> devices{};
    std::string group{};   ///< instead of devices
    bool by_checkpoints{}; ///< increments are of what cbt-only says has changed, not blksnap
};

/// One backup, from the snapshot on. What fails before anything is copied leaves nothing; after that, what
/// was copied and the snapshot stay, and resume() goes on.
class Maker {
public:
    /// @p rate: bytes a second at most; 0: as fast as it goes.
    Maker(Session& session, Store& store, std::uint64_t rate)
        : session_{&session}, store_{&store}, snapshots_{session}, checkpoints_{session}, rate_{rate} {}

    Result<Manifest> full(const Wish& wish);
    /// On the last backup. "refused": it is not one that an increment fits on, or a file of its chain is not
    /// there as a whole.
    Result<Manifest> incremental();
    /// Goes on with one that was interrupted. "not-found": there is none; "refused": its snapshot is gone, or
    /// the backup that it is made on is another one.
    Result<Manifest> resume();
    /// Gives up one that was interrupted, with its snapshot. It stays as it is when the snapshot does: what
    /// is known of that is nowhere else.
    Result<void> discard();

private:
    // make.cpp
    [[nodiscard]] Result<std::vector<Manifest>> whole_chain(std::uint64_t number) const;
    Result<void> begin(const Wish& wish);
    Result<void> take_snapshot(const Wish& wish);
    [[nodiscard]] Result<void> name_checkpoints(const std::string& snapshot) const;
    void remove_checkpoints(const Manifest& manifest) const;
    [[nodiscard]] Result<void> check_base(const Copy& before, const Base& now) const;
    [[nodiscard]] Result<void> check_images(const std::vector<Image>& images) const;
    [[nodiscard]] Result<void> check_resumed() const;
    [[nodiscard]] Result<void> end_snapshot(const std::string& label) const;
    void end_kept();
    Result<void> give_up();
    Result<Manifest> run();
    Result<Manifest> finish();

    // make_file.cpp
    Result<void> copy_device(Copy& copy);
    Result<void> prepare_file(const Copy& copy, const std::filesystem::path& file) const;
    [[nodiscard]] Result<std::vector<ByteRange>> ranges_of(const Copy& copy) const;
    Result<std::uint64_t> copy_into(const std::filesystem::path& file, const Copy& copy, const Image& image,
                                    const std::vector<ByteRange>& ranges);

    Session* session_;
    Store* store_;
    SnapshotClient snapshots_;
    CheckpointClient checkpoints_;
    std::uint64_t rate_;
    std::optional<Manifest> parent_{}; ///< of an increment
    State state_{};
};

} // namespace filterctl::backup
