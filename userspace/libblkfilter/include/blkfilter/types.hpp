// SPDX-License-Identifier: MIT
/// @file
/// What the core says and what it is asked for, as values.  Members that may be left
/// out of a designated initialiser have one of their own.
#pragma once

#include <blkfilter/altitude.hpp>
#include <blkfilter/bytes.hpp>
#include <blkfilter/device_id.hpp>
#include <blkfilter/uuid.hpp>

#include <array>
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace blkfilter {

/// Wherever a sector is counted, whatever a device has for its own.
inline constexpr std::uint64_t sector_bytes = 512;

/// A range of sectors of 512 bytes.
struct SectorRange {
    std::uint64_t sector{};
    std::uint64_t sectors{};

    friend bool operator==(const SectorRange&, const SectorRange&) = default;
};

/// Kinds of operations as Statistics counts them.
enum class Group : std::uint8_t { read, write, discard, zeroes, flush, other };
inline constexpr std::size_t group_count = 6;

/// What one filter of one device has seen since it was attached.
struct Statistics {
    /// Bios shown to the filter, by Group.
    std::array<std::uint64_t, group_count> bios{};
    /// Their sectors of 512 bytes, by Group.
    std::array<std::uint64_t, group_count> sectors{};
    /// Bios that the filter took.
    std::uint64_t taken{};
    /// Taken bios that went on below the filter.
    std::uint64_t resumed{};
    /// Taken bios that the filter ended itself.
    std::uint64_t ended{};
    /// Bios that the filter made itself.
    std::uint64_t own{};

    [[nodiscard]] std::uint64_t bios_of(Group group) const { return bios[static_cast<std::size_t>(group)]; }
    [[nodiscard]] std::uint64_t sectors_of(Group group) const {
        return sectors[static_cast<std::size_t>(group)];
    }
};

/// The core that is loaded.
struct Version {
    /// Of the binary interface.
    std::uint32_t interface{};
    /// Some device has a filter, or a rule waits for one.
    bool hook_active{};
    /// Node (node.hpp) works.
    bool node_ioctls{};
};

/// A filter that a loaded module has registered.
struct FilterInfo {
    std::string name{};
    /// Its module; empty when built in.
    std::string module{};
    Altitude default_altitude;
    /// Devices that it is attached to.
    std::uint32_t instances{};
    /// It hears consistency points.
    bool needs_points{};
    /// It can work on zoned devices.
    bool zoned{};
};

/// A device with at least one filter.
struct DeviceInfo {
    DeviceId device{};
    /// The kernel's name, such as "vda1".
    std::string name{};
    /// Of its stack; every change increases it.
    std::uint64_t generation{};
    std::uint64_t size_sectors{};
    std::uint32_t filters{};
    /// Writes from before the first attach may still be on their way.
    bool settling{};
    bool partition{};
};

/// A filter in a device's stack, as it is.
struct StackEntry {
    std::string name{};
    Altitude altitude;
    /// As they were given at the attach.
    Bytes options{};
    OwnerTag owner{};
    /// Number of this attachment, never used twice.
    std::uint64_t instance{};
    /// The filter's own word.
    std::string state{};
    /// Attached by a provisional rule that has not been confirmed yet.
    bool provisional{};
    /// Attached before the device's first bio.
    bool from_first_bio{};
    Statistics statistics{};
};

/// A device's filters, from high to low altitude.
struct Stack {
    DeviceId device{};
    /// 0 for a device that never had a filter.
    std::uint64_t generation{};
    std::vector<StackEntry> entries{};
};

/// A filter in a stack, as it is wanted.
struct EntryRequest {
    std::string name{};
    /// Nothing: the filter's default.
    std::optional<Altitude> altitude{};
    /// At most 4096 bytes.
    Bytes options{};
    /// A filter of the present stack that hands its state over; empty for none.
    std::string replaces{};
    OwnerTag owner{};
};

/// What keeps @p entry as it is.
EntryRequest request_of(const StackEntry& entry);

/// How a stack is changed.
struct StackChange {
    /// Check only, as far as that goes without attaching.
    bool dry_run{};
    /// Fail with ESTALE unless the stack has this generation.
    std::optional<std::uint64_t> expected_generation{};
    /// Provisional attachments stay for good.
    bool confirm{};
    /// How long the device may be closed; 0 for the kernel's default.
    std::chrono::milliseconds limit{};
};

/// A consistency point as it is wanted.
struct PointRequest {
    PointId id{};
    /// Devices whose file systems are frozen, in this order.
    std::vector<DeviceId> freeze{};
    /// Devices that take part, at least one, upper before lower: a dm, md or loop
    /// device before what it lies on.
    std::vector<DeviceId> close{};
    /// From the first gate that closes; 0 for the kernel's default.
    std::chrono::milliseconds limit{};
};

/// A consistency point that has taken place.
struct Point {
    PointId id{};
    /// How long the gates were closed.
    std::chrono::nanoseconds closed{};
    /// How long the file systems were frozen.
    std::chrono::nanoseconds frozen{};
};

/// Which appearing devices a rule means: those that fit everything given.
struct RuleKeys {
    enum class Kind : std::uint8_t { any, disk, partition };
    Kind kind{Kind::any};
    std::optional<std::uint32_t> major{};
    /// Glob for the kernel's name, such as "sd*".
    std::optional<std::string> name{};
    /// Module of the disk's driver, such as "null_blk".
    std::optional<std::string> driver{};
    std::optional<std::string> partuuid{};
    std::optional<std::string> partlabel{};
    /// Hexadecimal EUI-64, NAA or UUID of a SCSI or NVMe disk.
    std::optional<std::string> wwid{};
};

/// A rule as it is wanted.
struct RuleRequest {
    RuleKeys keys{};
    std::vector<EntryRequest> entries{};
    /// The filters are taken off again after this time unless somebody confirms
    /// them; 0: they stay.
    std::chrono::milliseconds provisional{};
};

/// A rule that holds.
struct Rule {
    std::uint32_t id{};
    RuleKeys keys{};
    /// How many filters it attaches.
    std::uint32_t entries{};
    std::chrono::milliseconds provisional{};
};

} // namespace blkfilter
