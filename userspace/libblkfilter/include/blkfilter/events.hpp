// SPDX-License-Identifier: MIT
/// @file
/// What happens in the core, as it happens.
#pragma once

#include <blkfilter/device_id.hpp>
#include <blkfilter/error.hpp>
#include <blkfilter/file_descriptor.hpp>

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace blkfilter {

/// A newer kernel may send others.
enum class EventType : std::uint32_t {
    lost = 1,       ///< value: how many events were dropped here; list everything anew
    registered,     ///< filter name
    unregistered,   ///< filter name
    device_added,   ///< name: the device's
    device_removed, ///< name: the device's
    attached,       ///< filter name; value: altitude in millionths
    detached,       ///< filter name; reason
    stack,          ///< a stack was changed; value: its generation
    point,          ///< one for each device; data: the point's id
    resized,        ///< value: sectors of 512 bytes
    settled,        ///< no write from before the first attach is left
    hook_lost,      ///< bios may have passed unseen
    filter,         ///< filter name; value and data are its own
};

/// Why a filter was detached.
enum class Reason : std::uint32_t {
    none = 0,
    request,     ///< somebody asked for it
    replaced,    ///< a successor took over
    removed,     ///< the device is gone
    changed,     ///< the partition is another one now
    unconfirmed, ///< a provisional rule ran out
    failed,      ///< a transaction was undone
};

/// "attached"; "unknown" for what this library does not know.
std::string_view to_string(EventType type);
/// "request"; "" for none, "unknown" for what this library does not know.
std::string_view to_string(Reason reason);

struct Event {
    EventType type{};
    /// Counts up by one over all events of the system.
    std::uint64_t sequence{};
    /// CLOCK_BOOTTIME.
    std::chrono::nanoseconds since_boot{};
    std::optional<DeviceId> device{};
    /// See EventType.
    std::uint64_t value{};
    Reason reason{Reason::none};
    /// Process that caused it; 0 for the kernel.
    std::uint32_t pid{};
    std::string process{};
    /// See EventType.
    std::string name{};
    /// See EventType.
    std::array<std::byte, 64> data{};
};

/// The events from the moment it was opened on.  For one thread at a time.
class EventStream {
public:
    /// Errors: as Control::open().
    static Result<EventStream> open(const std::string& path = "/dev/blkfilter");

    /// @p file must not block.
    explicit EventStream(FileDescriptor file) : file_{std::move(file)} {}

    /// For poll(): readable when the kernel has events.  Some may also wait in
    /// this object, so before polling call next(0ms) until it returns nothing.
    [[nodiscard]] int descriptor() const { return file_.get(); }

    /// The next event; nothing when none came in time.  Waits for ever without a
    /// timeout.  Errors: those of read(); EPROTO, what was read is no event.
    Result<std::optional<Event>> next(std::optional<std::chrono::milliseconds> timeout = {});

private:
    Result<bool> fill();
    Result<Event> take();

    FileDescriptor file_;
    std::vector<std::byte> buffer_;
    std::size_t taken_{};
};

} // namespace blkfilter
