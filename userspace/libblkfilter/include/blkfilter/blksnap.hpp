// SPDX-License-Identifier: MIT
/// @file
/// Snapshots and change tracking by the filter "blksnap".
///
/// A backup program attaches the filter with Control::attach(), and then for each copy: Snapshot::create(),
/// Tracker::add_to() for each device, Snapshot::append() with a Storage, Snapshot::take(). The images are
/// block devices (Tracker::part()), Tracker::map() says what has changed since an earlier snapshot. While it
/// copies it waits for events, and appends storage when the kernel asks for it. Snapshot::destroy() ends it.
#pragma once

#include <blkfilter/control.hpp>
#include <blkfilter/error.hpp>
#include <blkfilter/file_descriptor.hpp>
#include <blkfilter/types.hpp>

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace blkfilter::blksnap {

/// The filter's name, for a stack.
inline constexpr std::string_view filter_name = "blksnap";

/// Where /dev/blksnap-control is.
inline constexpr const char* control_path = "/dev/blksnap-control";

// --- what has changed ---

/// A device's change map at a snapshot.
struct MapInfo {
    std::uint64_t size_bytes{}; ///< of the device
    std::uint32_t block_bytes{};
    std::uint32_t blocks{}; ///< that the device has, the last one not always whole
    /// Of the history that the map belongs to; another one than that of an earlier copy means that
    /// everything may have changed since.
    Uuid generation{};
    /// Of the last snapshot in this generation; 0: none yet.
    std::uint8_t number{};

    /// "GENERATION/NUMBER/SIZE/BLOCK": what must be remembered with a copy, so that the next one can begin
    /// there.
    [[nodiscard]] std::string to_string() const;
    /// The same back. EINVAL: it is not what to_string() makes.
    static Result<MapInfo> parse(std::string_view text);

    friend bool operator==(const MapInfo&, const MapInfo&) = default;
};

/// Why a copy cannot be continued with changes only; none: it can.
enum class Mismatch { none, generation, size, number };

/// For people, after the name of the device: "its history has begun anew since (...)".
std::string_view reason_of(Mismatch mismatch);

/// Whether what has changed since @p base can be told by the map of @p now. @p base is what MapInfo was while
/// the earlier snapshot was held.
Mismatch compare(const MapInfo& base, const MapInfo& now);

/// The blocks of a device, each with the number of the interval between snapshots in which it was last
/// written.
class ChangeMap {
public:
    /// @p numbers: one for each block.
    ChangeMap(const MapInfo& info, std::vector<std::uint8_t> numbers)
        : info_{info}, numbers_{std::move(numbers)} {}

    [[nodiscard]] const MapInfo& info() const { return info_; }

    /// What has changed between the snapshot of @p base and the one that was held when the map was read, in
    /// ascending order, neighbours joined; it ends where the device does. ESTALE: that cannot be told, see
    /// compare(); a full copy is needed.
    [[nodiscard]] Result<std::vector<SectorRange>> changed_since(const MapInfo& base) const;

private:
    MapInfo info_;
    std::vector<std::uint8_t> numbers_;
};

/// A device's part in a snapshot.
struct Part {
    /// 0, or why the image is not to be used any more, an errno: ENOSPC, the storage was full; ESPIPE, writes
    /// may have passed unseen; ETIMEDOUT, the storage did not answer; EIO and others. It outlives the
    /// snapshot.
    int error{};
    /// "/dev/blksnap-image_8:0"; empty when there is none.
    std::string image{};
};

/// The filter on one device. Every call is one or a few commands: ENOENT where it is not attached, ENODEV
/// where the device is gone. Calls may come from several threads at once.
class Tracker {
public:
    /// @p control must outlive it.
    Tracker(const Control& control, const DeviceId& device) : control_{&control}, device_{device} {}

    [[nodiscard]] Result<MapInfo> info() const;

    /// The whole map, one byte for each block. While a snapshot is held it shows the time until then; without
    /// one it changes while it is read. EAGAIN: a snapshot was taken meanwhile.
    [[nodiscard]] Result<ChangeMap> map() const;

    /// Marks ranges as changed, for the next copy and for the one that is being made. EINVAL: one is not
    /// wholly on the device; none is marked then.
    [[nodiscard]] Result<void> mark_dirty(std::span<const SectorRange> ranges) const;

    /// The device takes part in a snapshot that is not taken yet. Errors: ESRCH, no such snapshot; EALREADY,
    /// it does so already; EBUSY, it takes part in another one, or this one is taken; ENOTBLK, storage of the
    /// snapshot has larger logical blocks than the device; ELOOP, storage of the snapshot lies on the device.
    [[nodiscard]] Result<void> add_to(const Uuid& snapshot) const;

    [[nodiscard]] Result<Part> part() const;

private:
    const Control* control_;
    DeviceId device_;
};

// --- where old data goes ---

/// Room for old data, which Snapshot::append() hands over; the kernel keeps it until the snapshot ends, and
/// it goes with it.
class Storage {
public:
    /// A file without a name in @p folder, all of its blocks allocated: nobody else can open it, and it
    /// vanishes with the snapshot, whatever happens to this process. @p bytes is rounded up to whole pages.
    /// Errors: ENOSPC; EOPNOTSUPP, the folder's file system cannot allocate blocks; those of open().
    static Result<Storage> in_folder(const std::filesystem::path& folder, std::uint64_t bytes);

    /// A whole block device. What is on it is overwritten; one that is in use append() refuses.
    static Result<Storage> device(const std::filesystem::path& node);

    /// For reading and writing.
    [[nodiscard]] int descriptor() const { return file_.get(); }
    [[nodiscard]] std::uint64_t bytes() const { return bytes_; }

private:
    Storage(FileDescriptor file, std::uint64_t bytes) : file_{std::move(file)}, bytes_{bytes} {}

    FileDescriptor file_;
    std::uint64_t bytes_;
};

// --- snapshots ---

/// More storage is wanted.
struct LowSpace {
    std::uint64_t sectors{};
};

/// An image is not to be used any more.
struct Corrupted {
    std::uint32_t major{}; ///< of the device
    std::uint32_t minor{};
    int error{}; ///< an errno: see Part
};

/// What has happened to a snapshot.
struct SnapshotEvent {
    std::chrono::nanoseconds monotonic{}; ///< when: CLOCK_MONOTONIC
    std::variant<LowSpace, Corrupted> what{};
};

enum class SnapshotState : std::uint32_t {
    fresh,     ///< not taken yet
    taken,     ///< its images exist
    corrupted, ///< and one at least is not to be used
};

/// "new", "taken", "corrupted".
std::string_view to_string(SnapshotState state);

/// A snapshot in numbers.
struct SnapshotStatistics {
    SnapshotState state{};
    std::uint32_t devices{};
    std::uint64_t chunk_sectors{}; ///< 0 before it is taken
    std::uint64_t storage_sectors{};
    std::uint64_t used_sectors{}; ///< of the storage
    std::uint64_t copied_chunks{};
    std::uint64_t chunks_in_memory{};
    std::uint64_t index_bytes{}; ///< memory that finds stored chunks
    std::uint64_t writes_waited{};
    std::chrono::nanoseconds closed{}; ///< for so long the devices were closed at the take
};

/// Of the binary interface.
struct ModuleVersion {
    std::uint16_t major{};
    std::uint16_t minor{};
    std::uint16_t revision{};
    std::uint16_t build{};
};

/// /dev/blksnap-control. Needs CAP_SYS_ADMIN (EPERM otherwise); calls may come from several threads at once.
class Module {
public:
    /// Errors: ENOENT, the module is not loaded; EACCES.
    static Result<Module> open(const std::string& path = control_path);

    explicit Module(std::unique_ptr<Transport> transport) : transport_{std::move(transport)} {}

    [[nodiscard]] Result<ModuleVersion> version() const;
    /// Ids of all snapshots of the system.
    [[nodiscard]] Result<std::vector<Uuid>> snapshots() const;

private:
    friend class Snapshot;

    std::unique_ptr<Transport> transport_;
};

/// One snapshot. ESRCH from its calls: it was destroyed by somebody.
class Snapshot {
public:
    /// A new one, without devices. It is destroyed with the object unless release() comes first.
    /// @p module must outlive it.
    static Result<Snapshot> create(const Module& module);

    /// One that exists, and stays when the object goes.
    Snapshot(const Module& module, const Uuid& id) : module_{&module}, id_{id} {}

    Snapshot(Snapshot&& other) noexcept
        : module_{other.module_}, id_{other.id_}, owned_{std::exchange(other.owned_, false)} {}
    Snapshot& operator=(Snapshot&& other) noexcept {
        std::swap(module_, other.module_);
        std::swap(id_, other.id_);
        std::swap(owned_, other.owned_);
        return *this;
    }
    Snapshot(const Snapshot&) = delete;
    Snapshot& operator=(const Snapshot&) = delete;
    ~Snapshot();

    [[nodiscard]] const Uuid& id() const { return id_; }

    /// It stays when the object goes.
    void release() { owned_ = false; }

    /// Gives it room for old data: before the take, or after it, as often as needed. Errors: EBUSY, the
    /// storage is in use already; EOPNOTSUPP, the file's file system does not tell where its blocks are;
    /// EEXIST, it is another snapshot's; ELOOP, it lies on a device of the snapshot by way of another one
    /// (dm, md), or is an image; ENOTBLK, its logical blocks are too large.
    [[nodiscard]] Result<void> append(const Storage& storage) const;
    /// The same with ranges of a block device. That nobody else uses them is the caller's business. EINVAL: a
    /// range is empty, not on the device or not of whole logical blocks.
    [[nodiscard]] Result<void> append(const std::string& node, std::span<const SectorRange> ranges) const;

    /// The instant. The file systems of the devices and of their partitions are frozen for it. Waits, up to
    /// minutes, for devices that were in use when they got their first filter. Errors: EALREADY; ENODEV, it
    /// has no devices, or one was removed; ETIMEDOUT, a device had writes in flight for too long; what
    /// freezing a file system returned. Nothing has happened then.
    ///
    /// The file systems of @p freeze are frozen before, in this order: what lies on the snapshot's devices by
    /// way of other devices (dm, md, loop), the uppermost first; up to 256. ENXIO: one is not there.
    [[nodiscard]] Result<void> take(std::span<const DeviceId> freeze = {}) const;

    /// Its images go, even when they are in use; tracking goes on. ENODEV: it was destroyed already.
    Result<void> destroy();

    /// The next event; nothing when none came in time. Each event is told to one caller.
    [[nodiscard]] Result<std::optional<SnapshotEvent>> wait(std::chrono::milliseconds limit) const;

    [[nodiscard]] Result<SnapshotStatistics> statistics() const;

private:
    const Module* module_;
    Uuid id_;
    bool owned_{};
};

} // namespace blkfilter::blksnap
