// SPDX-License-Identifier: MIT
/// @file
/// Another device under a live one, by the filter "redirect".
///
/// A migration: attach the filter to the source with Control::attach(), Redirection::start(), look at
/// status() until it is ready, Redirection::cut_over(); when the source is closed Redirection::finish().
#pragma once

#include <blkfilter/control.hpp>
#include <blkfilter/error.hpp>
#include <blkfilter/types.hpp>

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

namespace blkfilter::redirect {

/// The filter's name, for a stack.
inline constexpr std::string_view filter_name = "redirect";

/// A newer kernel may have others.
enum class State : std::uint32_t {
    created,    ///< attached; nothing was started
    running,    ///< copying
    paused,     ///< not copying, the target is left alone
    ready,      ///< everything was copied once
    standby,    ///< ready, and paused
    pending,    ///< cutting over
    redirected, ///< all I/O goes to the target
    aborting,   ///< ending; I/O to the target is still on its way
    failed,     ///< ended by an error; the source is as it would be without the filter
    concluded,  ///< ended as it was asked to
};

enum class Mode : std::uint32_t {
    only,           ///< nothing is copied: a redirect alone
    write_blocking, ///< writes wait for both
    background,     ///< the target lags
};

/// "running"; "unknown" for what this library does not know.
std::string_view to_string(State state);
/// "write-blocking"; "unknown" for what this library does not know.
std::string_view to_string(Mode mode);

/// Copying, or having copied: what can be cancelled.
bool is_before_cut_over(State state);
/// Nothing is under way.
bool is_over(State state);

/// Whether what continues was refused for good: the record does not allow it, now or later.
bool says_never(int error);

/// What the record of a migration needs of a device.
inline constexpr std::uint64_t record_bytes = 65536;

/// What is wanted of a redirect or a migration.
struct StartRequest {
    std::filesystem::path target{}; ///< its node
    Mode mode{Mode::write_blocking};
    /// What is redirected of the source; nothing: all of it, and a migration is always of all.
    std::optional<SectorRange> range{};
    std::uint64_t target_sector{};     ///< where that begins on the target
    std::uint64_t bytes_per_second{};  ///< that are copied at most; 0: no limit
    std::uint32_t in_flight{};         ///< copies in flight at most, 1 to 64; 0: the kernel's default
    std::chrono::milliseconds limit{}; ///< for which the device may be closed; 0: the kernel's default
    Uuid id{Uuid::random()};
    /// Of a migration: a block device, whose first record_bytes are overwritten with the record of it, which
    /// survives a power loss. Nothing: it is kept on the target, behind what the source needs there.
    std::optional<std::filesystem::path> record{};
    /// No record of a migration: it is known that a restart in the middle means to start again.
    bool no_record{};
    /// Goes on with what the record says, after a restart: with the same id, target_sector and place.
    bool continues{};
    /// The target lies on the source's device below, see Redirection::below(), and is slid under the source.
    /// With Mode::only and no range.
    bool interposes{};
    /// The target need not do the source's atomic writes: those of more than a logical block fail from now
    /// on.
    bool no_atomic_writes{};
};

/// How the record of a migration is.
struct RecordStatus {
    DeviceId device{};
    std::uint64_t sector{};       ///< where on it
    std::uint64_t marked_bytes{}; ///< that would be copied after a power loss
    int error{};                  ///< of the last time it was written, an errno; 0: it succeeded
    /// The source was written to without it: until this goes, it must not be continued after a restart.
    bool is_behind{};
};

/// How it is.
struct Status {
    State state{State::created};
    Mode mode{Mode::only};
    /// Of the last error of the target or of what ended it, an errno; 0 when the target answers.
    int error{};
    Uuid id{}; ///< null: nothing was started
    DeviceId target{};
    SectorRange range{};
    std::uint64_t target_sector{};
    std::uint64_t total_bytes{};      ///< to be copied in all; 0 for a redirect alone
    std::uint64_t remaining_bytes{};  ///< that are not, or not yet again, on the target
    std::uint64_t copied_bytes{};     ///< in the background
    std::uint64_t dirtied_bytes{};    ///< that had to be copied again
    std::uint64_t mirrored_bytes{};   ///< that were written to both
    std::uint64_t bytes_per_second{}; ///< the limit; 0: none
    std::uint32_t in_flight{};        ///< the limit
    std::uint32_t copies{};           ///< in flight
    std::uint64_t waited{};           ///< writes that waited for a copy
    std::uint64_t target_errors{};
    std::uint32_t attempts{};             ///< failures in a row
    bool sends_fua{};                     ///< once redirected, every write carries FUA
    bool is_unseen{};                     ///< redirected, and yet bios may have gone to the source
    bool is_interposed{};                 ///< the target lies on the source itself
    bool is_continued{};                  ///< it goes on with what a record has said
    std::chrono::nanoseconds held{};      ///< writes, at the cut-over, after the gate
    std::chrono::nanoseconds time{};      ///< of this answer, by CLOCK_BOOTTIME
    std::chrono::nanoseconds started{};   ///< likewise
    std::optional<RecordStatus> record{}; ///< nothing: there is none
};

/// What is changed of a migration; what has no value stays.
struct Settings {
    std::optional<std::uint64_t> bytes_per_second{}; ///< 0: no limit
    std::optional<std::uint32_t> in_flight{};
    std::optional<Mode> mode{}; ///< not Mode::only
};

/// For how long a cut-over may last; 0: the kernel's default.
struct CutOverLimits {
    std::chrono::milliseconds held{};  ///< for which I/O may be held, in each of two steps
    std::chrono::milliseconds dirty{}; ///< to wait for what is dirty before that
};

/// The block device that a source's filter offers: what is sent to it enters the source below redirect.
struct Below {
    DeviceId device{};
    std::string name{}; ///< the kernel's
};

/// Whether file systems are frozen meanwhile, which fails when the target returns errors.
enum class Freeze : std::uint8_t { yes, no };

/// What a comparison has found.
struct Comparison {
    std::uint64_t next_sector{};            ///< where it goes on; the end of the source: nowhere
    std::optional<std::uint64_t> different; ///< first sector of a region that differs
    std::uint64_t compared_bytes{};
    std::uint64_t skipped_bytes{}; ///< not copied yet, or written to meanwhile
};

/// The filter on one device, the source. Every call is a command of the filter: ENOENT where it is not
/// attached, ENODEV where the source is gone. Calls may come from several threads at once.
class Redirection {
public:
    /// @p control must outlive it.
    Redirection(const Control& control, const DeviceId& source) : control_{&control}, source_{source} {}

    /// Begins. Errors: those of opening the target and the record's device; EAGAIN, the source settles;
    /// EBUSY, one is under way, or the target is in use; EINVAL, the range; ENOSPC, EOPNOTSUPP, EROFS, ELOOP,
    /// ENOTBLK, the target, or the record's device; EDESTADDRREQ, there is no place for the record; EEXIST,
    /// the record that is there says that the target is the current one; ESTALE, the source gets another
    /// size; ETIMEDOUT, it did not drain. The message says what is wrong with a target.
    /// What continues also has: ENODATA, EBADMSG, EPROTONOSUPPORT, there is no record, it is damaged, or of
    /// another version; ENOKEY, EXDEV, it is of another migration, or of other devices; EALREADY, it was
    /// concluded; EUCLEAN, the source was written to since it appeared. See says_never().
    [[nodiscard]] Result<void> start(const StartRequest& request) const;

    [[nodiscard]] Result<Status> status() const;

    /// ENOENT: nothing is being copied; EINVAL: a number out of range.
    [[nodiscard]] Result<void> set(const Settings& settings) const;

    /// Leaves the target alone; returns when nothing is on its way there. EINVAL: not in this state;
    /// ETIMEDOUT, EINTR: it owes answers, and is paused all the same.
    [[nodiscard]] Result<void> pause() const;
    /// Goes on, also after errors of the target. EINVAL: not paused.
    [[nodiscard]] Result<void> resume() const;

    /// From ready to redirected: for how long writes were held. On any error it is ready again, and nothing
    /// has changed. EINVAL: not ready; ECANCELED: cancelled or paused meanwhile; ETIMEDOUT: a limit was over.
    [[nodiscard]] Result<std::chrono::nanoseconds> cut_over(const CutOverLimits& limits = {}) const;

    /// Ends a migration before its cut-over; returns when the target is closed. EBUSY: it is redirected.
    [[nodiscard]] Result<void> cancel() const;

    /// Ends a redirect: I/O goes to the source again, whose content is an old one. EBUSY: somebody has the
    /// source open; EINVAL: not redirected. What is interposed is taken out while the source is in use;
    /// ETIMEDOUT, and those of freezing: it is as before.
    [[nodiscard]] Result<void> finish(Freeze freeze = Freeze::yes) const;

    /// Offers the device below, or says which it is. EBUSY: a migration is under way.
    [[nodiscard]] Result<Below> below() const;
    /// Takes it away. EBUSY: it is open, or held; ENOENT: there is none.
    [[nodiscard]] Result<void> withdraw_below() const;

    /// Compares source and target from @p sector on, at most @p sectors, 0: to the end; ends at the first
    /// difference. EBUSY: cutting over, or paused; EINVAL: nothing is being copied; EIO: one cannot be read.
    [[nodiscard]] Result<Comparison> verify(std::uint64_t sector, std::uint64_t sectors = 0) const;

private:
    const Control* control_;
    DeviceId source_;
};

} // namespace blkfilter::redirect
