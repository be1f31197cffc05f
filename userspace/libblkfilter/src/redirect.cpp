// SPDX-License-Identifier: MIT
#include "raw.hpp"

#include <blkfilter/file_descriptor.hpp>
#include <blkfilter/redirect.hpp>
#include <linux/blkfilter-redirect.h>

#include <algorithm>
#include <array>
#include <fcntl.h>
#include <limits>

namespace blkfilter::redirect {

namespace {

static_assert(record_bytes == std::uint64_t{BLKFILTER_REDIRECT_SLOT} * BLKFILTER_REDIRECT_SLOTS);

constexpr std::uint64_t no_sector = std::numeric_limits<std::uint64_t>::max();

/// What is wrong with a record, or its place; empty when nothing is.
std::string_view reason_of_record(std::uint32_t refused) {
    switch (refused) {
    case BLKFILTER_REDIRECT_RECORD_NO_PLACE:
        return "there is no room for the record, 64 KiB: on the target it must be behind what the source "
               "needs";
    case BLKFILTER_REDIRECT_RECORD_NO_BLOCK:
        return "what the record shall be kept on is no block device";
    case BLKFILTER_REDIRECT_RECORD_READ_ONLY:
        return "the record's device is read-only";
    case BLKFILTER_REDIRECT_RECORD_IN_USE:
        return "the record's device is in use: mounted, held by another device, or a target";
    case BLKFILTER_REDIRECT_RECORD_GONE:
        return "the record's device has gone";
    case BLKFILTER_REDIRECT_RECORD_UNSUITED:
        return "the record's device is zoned, or has integrity data";
    case BLKFILTER_REDIRECT_RECORD_ON_SOURCE:
        return "the record's device lies on the source";
    case BLKFILTER_REDIRECT_RECORD_IO:
        return "the record cannot be read or written";
    case BLKFILTER_REDIRECT_RECORD_IN_FORCE:
        return "the record there says that the target has the current data, which would be overwritten with "
               "old data of the source";
    case BLKFILTER_REDIRECT_RECORD_NONE:
        return "there is no record";
    case BLKFILTER_REDIRECT_RECORD_DAMAGED:
        return "the record is damaged";
    case BLKFILTER_REDIRECT_RECORD_VERSION:
        return "the record is of a later version";
    case BLKFILTER_REDIRECT_RECORD_OTHER_ID:
        return "the record is of another migration";
    case BLKFILTER_REDIRECT_RECORD_OTHER_SIZE:
        return "the record is of devices of other sizes";
    case BLKFILTER_REDIRECT_RECORD_OTHER_DEVICE:
        return "the record is of partitions with other PARTUUIDs";
    case BLKFILTER_REDIRECT_RECORD_CONCLUDED:
        return "the record says that it has ended";
    case BLKFILTER_REDIRECT_RECORD_WRITTEN:
        return "the source was written to since it appeared, or does not count what is written to it";
    default:
        return "";
    }
}

/// What is wrong with a target, or a source; empty when nothing is.
std::string_view reason_of(std::uint32_t refused) {
    switch (refused) {
    case BLKFILTER_REDIRECT_TARGET_SMALLER:
        return "the target is smaller than the source";
    case BLKFILTER_REDIRECT_TARGET_BLOCK_SIZE:
        return "the target has another logical block size than the source";
    case BLKFILTER_REDIRECT_TARGET_READ_ONLY:
        return "the target is read-only";
    case BLKFILTER_REDIRECT_TARGET_ZONED:
        return "the target is zoned";
    case BLKFILTER_REDIRECT_TARGET_INTEGRITY:
        return "the target has integrity data";
    case BLKFILTER_REDIRECT_TARGET_IN_USE:
        return "the target is in use: mounted, held by another device, or a target already";
    case BLKFILTER_REDIRECT_TARGET_IS_SOURCE:
        return "the target is the source, or overlaps it";
    case BLKFILTER_REDIRECT_TARGET_ON_SOURCE:
        return "the target lies on the source";
    case BLKFILTER_REDIRECT_TARGET_GONE:
        return "the target has gone";
    case BLKFILTER_REDIRECT_SOURCE_INTEGRITY:
        return "the source has integrity data";
    case BLKFILTER_REDIRECT_TARGET_ATOMIC:
        return "the target cannot do the atomic writes of the source (no-atomic-writes gives them up)";
    case BLKFILTER_REDIRECT_TARGET_NO_BLOCK:
        return "the target is no block device";
    case BLKFILTER_REDIRECT_TARGET_CRYPTO:
        return "the target has less inline encryption than the source";
    case BLKFILTER_REDIRECT_TARGET_NOT_BELOW:
        return "the target does not lie on the source's device below, or on the source in another way, too";
    default:
        return reason_of_record(refused);
    }
}

/// What EINVAL says of a command.
std::string_view meaning_of_invalid(std::uint32_t command) {
    switch (command) {
    case BLKFILTER_REDIRECT_START:
        return "the range is empty, not of whole logical blocks, or not wholly on the source; or a limit is "
               "out of range";
    case BLKFILTER_REDIRECT_SET:
        return "a limit is out of range";
    case BLKFILTER_REDIRECT_PAUSE:
        return "nothing is being copied, or it is paused already";
    case BLKFILTER_REDIRECT_RESUME:
        return "it is not paused";
    case BLKFILTER_REDIRECT_CUTOVER:
        return "it is not ready";
    case BLKFILTER_REDIRECT_FINISH:
        return "it is not redirected";
    case BLKFILTER_REDIRECT_VERIFY:
        return "nothing is being copied, or it is redirected already";
    default:
        return "";
    }
}

std::string_view meaning_of_busy(std::uint32_t command) {
    switch (command) {
    case BLKFILTER_REDIRECT_START:
        return "a migration or a redirect of it is under way";
    case BLKFILTER_REDIRECT_CANCEL:
        return "it is redirected, which cannot be cancelled";
    case BLKFILTER_REDIRECT_FINISH:
        return "somebody has the source open, and would get old data from one moment to the next";
    case BLKFILTER_REDIRECT_VERIFY:
        return "it is cutting over, or paused";
    case BLKFILTER_REDIRECT_BELOW:
        return "the device below is open or held; or a migration is under way, which would not see what is "
               "written there";
    default:
        return "";
    }
}

std::string_view meaning_of_timeout(std::uint32_t command) {
    switch (command) {
    case BLKFILTER_REDIRECT_START:
        return "its writes did not drain in time, nothing has happened: try again, or with a longer limit";
    case BLKFILTER_REDIRECT_PAUSE:
        return "it is paused, but the target owes answers";
    case BLKFILTER_REDIRECT_FINISH:
        return "what is on its way did not complete in time, and it is as before: try again";
    case BLKFILTER_REDIRECT_CUTOVER:
        return "it took too long, and is ready again: try again, or with longer limits";
    default:
        return "";
    }
}

/// What an errno of redirect says; empty where it says no more than any filter's.
std::string_view meaning_of_command(std::uint32_t command, int code) {
    switch (code) {
    case EAGAIN:
        return "the device is settling, see blkfilter-tool stack: try again in a minute";
    case EBUSY:
        return meaning_of_busy(command);
    case ECANCELED:
        return "it was paused or cancelled meanwhile";
    case EINVAL:
        return meaning_of_invalid(command);
    case EIO:
        return command == BLKFILTER_REDIRECT_VERIFY ? "the source or the target cannot be read" : "";
    case ENOENT:
        return command == BLKFILTER_REDIRECT_START || command == BLKFILTER_REDIRECT_STATUS ? ""
               : command == BLKFILTER_REDIRECT_BELOW
                   ? "the device below is not offered, or the filter is not attached to the device"
                   : "nothing was started, or the filter is not attached to the device";
    case ESTALE:
        return "the source gets another size just now";
    case ETIMEDOUT:
        return meaning_of_timeout(command);
    default:
        return "";
    }
}

template <class Raw>
Result<void> send(const Control& control, const DeviceId& source, std::uint32_t command, Raw& raw) {
    raw.size = sizeof(raw);
    return send_command(control, source, filter_name, command, raw, meaning_of_command);
}

Result<void> send_plain(const Control& control, const DeviceId& source, std::uint32_t command,
                        std::uint32_t flags = 0) {
    blkfilter_redirect_plain raw{.size = 0, .flags = flags};
    return send(control, source, command, raw);
}

std::chrono::nanoseconds nanoseconds_of(std::uint64_t raw) {
    return std::chrono::nanoseconds{static_cast<std::int64_t>(raw)};
}

Result<FileDescriptor> open_device(const std::filesystem::path& node) {
    FileDescriptor device{::open(node.c_str(), O_RDWR | O_CLOEXEC | O_NONBLOCK)};
    if (device.get() < 0)
        return failure(errno, node.string(), text_of_errno(errno));
    return device;
}

std::uint32_t start_flags_of(const StartRequest& request) {
    return (request.no_record ? BLKFILTER_REDIRECT_NO_RECORD : 0) |
           (request.record ? BLKFILTER_REDIRECT_RECORD : 0) |
           (request.continues ? BLKFILTER_REDIRECT_CONTINUE : 0) |
           (request.interposes ? BLKFILTER_REDIRECT_INTERPOSE : 0) |
           (request.no_atomic_writes ? BLKFILTER_REDIRECT_NO_ATOMIC : 0);
}

std::optional<RecordStatus> record_of(const blkfilter_redirect_status& raw) {
    if ((raw.flags & BLKFILTER_REDIRECT_RECORDED) == 0)
        return std::nullopt;
    return RecordStatus{.device = device_of(raw.record),
                        .sector = raw.record_sector,
                        .marked_bytes = raw.record_marked,
                        .error = static_cast<int>(raw.record_error),
                        .is_behind = (raw.flags & BLKFILTER_REDIRECT_RECORD_BEHIND) != 0};
}

} // namespace

std::string_view to_string(State state) {
    constexpr std::array<std::string_view, 10> words{"created", "running",  "paused",     "ready",
                                                     "standby", "pending",  "redirected", "aborting",
                                                     "failed",  "concluded"};
    const auto index = static_cast<std::size_t>(state);
    return index < words.size() ? words.at(index) : "unknown";
}

std::string_view to_string(Mode mode) {
    constexpr std::array<std::string_view, 3> words{"only", "write-blocking", "background"};
    const auto index = static_cast<std::size_t>(mode);
    return index < words.size() ? words.at(index) : "unknown";
}

bool is_before_cut_over(State state) {
    return state >= State::running && state <= State::pending;
}

bool is_over(State state) {
    return state == State::created || state == State::failed || state == State::concluded;
}

bool says_never(int error) {
    constexpr std::array never{ENODATA, EBADMSG, EPROTONOSUPPORT, ENOKEY, EXDEV, EALREADY, EUCLEAN};
    return std::ranges::find(never, error) != never.end();
}

Result<void> Redirection::start(const StartRequest& request) const {
    const auto limit_ms = raw_milliseconds(request.limit);
    if (!limit_ms)
        return std::unexpected(limit_ms.error());
    const auto target = open_device(request.target);
    if (!target)
        return std::unexpected(target.error());
    const auto record = request.record ? open_device(*request.record) : FileDescriptor{};
    if (!record)
        return std::unexpected(record.error());
    const auto range = request.range.value_or(SectorRange{});
    blkfilter_redirect_start raw{};
    raw.flags = start_flags_of(request);
    raw.mode = static_cast<std::uint32_t>(request.mode);
    raw.target = target->get();
    raw.record = record->get();
    raw.first_sector = range.sector;
    raw.sectors = range.sectors;
    raw.target_sector = request.target_sector;
    raw.rate = request.bytes_per_second;
    raw.in_flight = request.in_flight;
    raw.limit_ms = *limit_ms;
    put_uuid(raw.id, request.id);
    const auto done = send(*control_, source_, BLKFILTER_REDIRECT_START, raw);
    if (const auto reason = reason_of(raw.refused); !done && !reason.empty())
        return failure(done.error().code,
                       fmt::format("{} to {}", device_name(source_), request.target.string()), reason);
    return done;
}

Result<Status> Redirection::status() const {
    blkfilter_redirect_status raw{};
    if (auto done = send(*control_, source_, BLKFILTER_REDIRECT_STATUS, raw); !done)
        return std::unexpected(done.error());
    return Status{.state = static_cast<State>(raw.state),
                  .mode = static_cast<Mode>(raw.mode),
                  .error = static_cast<int>(raw.error),
                  .id = uuid_of(raw.id),
                  .target = device_of(raw.target),
                  .range = {.sector = raw.first_sector, .sectors = raw.sectors},
                  .target_sector = raw.target_sector,
                  .total_bytes = raw.total,
                  .remaining_bytes = raw.remaining,
                  .copied_bytes = raw.copied,
                  .dirtied_bytes = raw.dirtied,
                  .mirrored_bytes = raw.mirrored,
                  .bytes_per_second = raw.rate,
                  .in_flight = raw.in_flight,
                  .copies = raw.copies,
                  .waited = raw.waited,
                  .target_errors = raw.target_errors,
                  .attempts = raw.attempts,
                  .sends_fua = (raw.flags & BLKFILTER_REDIRECT_FUA) != 0,
                  .is_unseen = (raw.flags & BLKFILTER_REDIRECT_UNSEEN) != 0,
                  .is_interposed = (raw.flags & BLKFILTER_REDIRECT_INTERPOSED) != 0,
                  .is_continued = (raw.flags & BLKFILTER_REDIRECT_CONTINUED) != 0,
                  .held = nanoseconds_of(raw.held_ns),
                  .time = nanoseconds_of(raw.time_ns),
                  .started = nanoseconds_of(raw.started_ns),
                  .record = record_of(raw)};
}

Result<void> Redirection::set(const Settings& settings) const {
    blkfilter_redirect_set raw{};
    raw.flags = (settings.bytes_per_second ? BLKFILTER_REDIRECT_SET_RATE : 0) |
                (settings.in_flight ? BLKFILTER_REDIRECT_SET_IN_FLIGHT : 0) |
                (settings.mode ? BLKFILTER_REDIRECT_SET_MODE : 0);
    raw.rate = settings.bytes_per_second.value_or(0);
    raw.in_flight = settings.in_flight.value_or(0);
    raw.mode = static_cast<std::uint32_t>(settings.mode.value_or(Mode::only));
    return send(*control_, source_, BLKFILTER_REDIRECT_SET, raw);
}

Result<void> Redirection::pause() const {
    return send_plain(*control_, source_, BLKFILTER_REDIRECT_PAUSE);
}

Result<void> Redirection::resume() const {
    return send_plain(*control_, source_, BLKFILTER_REDIRECT_RESUME);
}

Result<std::chrono::nanoseconds> Redirection::cut_over(const CutOverLimits& limits) const {
    const auto limit_ms = raw_milliseconds(limits.held);
    const auto wait_ms = raw_milliseconds(limits.dirty);
    if (!limit_ms || !wait_ms)
        return std::unexpected(limit_ms ? wait_ms.error() : limit_ms.error());
    blkfilter_redirect_cutover raw{};
    raw.limit_ms = *limit_ms;
    raw.wait_ms = *wait_ms;
    if (auto done = send(*control_, source_, BLKFILTER_REDIRECT_CUTOVER, raw); !done)
        return std::unexpected(done.error());
    return nanoseconds_of(raw.held_ns);
}

Result<void> Redirection::cancel() const {
    return send_plain(*control_, source_, BLKFILTER_REDIRECT_CANCEL);
}

Result<void> Redirection::finish(Freeze freeze) const {
    return send_plain(*control_, source_, BLKFILTER_REDIRECT_FINISH,
                      freeze == Freeze::no ? BLKFILTER_REDIRECT_NO_FREEZE : 0);
}

Result<Below> Redirection::below() const {
    blkfilter_redirect_below raw{};
    if (auto done = send(*control_, source_, BLKFILTER_REDIRECT_BELOW, raw); !done)
        return std::unexpected(done.error());
    return Below{.device = device_of(raw.device),
                 .name = {std::begin(raw.name), std::ranges::find(raw.name, '\0')}};
}

Result<void> Redirection::withdraw_below() const {
    blkfilter_redirect_below raw{};
    raw.flags = BLKFILTER_REDIRECT_BELOW_WITHDRAW;
    return send(*control_, source_, BLKFILTER_REDIRECT_BELOW, raw);
}

Result<Comparison> Redirection::verify(std::uint64_t sector, std::uint64_t sectors) const {
    blkfilter_redirect_verify raw{};
    raw.sector = sector;
    raw.sectors = sectors;
    if (auto done = send(*control_, source_, BLKFILTER_REDIRECT_VERIFY, raw); !done)
        return std::unexpected(done.error());
    return Comparison{.next_sector = raw.sector,
                      .different = raw.different == no_sector ? std::nullopt : std::optional{raw.different},
                      .compared_bytes = raw.compared,
                      .skipped_bytes = raw.skipped};
}

} // namespace blkfilter::redirect
