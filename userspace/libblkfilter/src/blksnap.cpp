// SPDX-License-Identifier: MIT
#include "raw.hpp"

#include <blkfilter/blksnap.hpp>
#include <linux/blksnap.h>

#include <fcntl.h>

namespace blkfilter::blksnap {

namespace {

constexpr std::string_view gone = "no such snapshot: it was destroyed";

/// What an errno of the control device says.
std::string meaning_of_ioctl(unsigned long request, int code) {
    const bool takes_with = request == IOCTL_BLKSNAP_SNAPSHOT_TAKE_WITH;
    const bool takes = takes_with || request == IOCTL_BLKSNAP_SNAPSHOT_TAKE;
    const bool appends_file = request == IOCTL_BLKSNAP_SNAPSHOT_APPEND_FILE;
    const bool appends = appends_file || request == IOCTL_BLKSNAP_SNAPSHOT_APPEND_STORAGE;
    switch (code) {
    case ESRCH:
        return std::string{gone};
    case ENODEV:
        if (request == IOCTL_BLKSNAP_SNAPSHOT_DESTROY)
            return std::string{gone};
        return takes ? "it has no devices, or one of them was removed" : meaning_of(code);
    case ENXIO:
        return takes_with ? "a device whose file system is to be frozen is not there any more"
                          : meaning_of(code);
    case EALREADY:
        return takes ? "it has been taken, or is being taken" : meaning_of(code);
    case ETIMEDOUT:
        return takes ? "a device had writes in flight for too long; nothing has happened: try again"
                     : meaning_of(code);
    case EEXIST:
        return appends ? "the storage is in use as a snapshot's storage already" : meaning_of(code);
    case EBUSY:
        return appends ? "the storage is in use already" : meaning_of(code);
    case ELOOP:
        return appends ? "the storage lies on a device of the snapshot, also by way of other ones and their "
                         "snapshots, or is an "
                         "image"
                       : meaning_of(code);
    case ENOTBLK:
        return appends ? "not a block device, or its logical blocks are larger than those of a device of the "
                         "snapshot"
                       : meaning_of(code);
    case EINVAL:
        if (appends)
            return appends_file ? "not a file whose blocks are all allocated, unwritten and its own"
                                : "a range is empty, not on the device or not of whole logical blocks";
        return meaning_of(code);
    case EOPNOTSUPP:
        return appends ? "its file system does not tell where its blocks are: use ext4 or xfs"
                       : meaning_of(code);
    case ENOTTY:
        return "the loaded module blksnap cannot do this: is it another one?";
    default:
        return meaning_of(code);
    }
}

std::string name_of(const Uuid& id) {
    return fmt::format("snapshot {}", id.to_string());
}

template <class Raw>
Result<void> send(Transport& transport, unsigned long request, Raw& raw, std::string_view where) {
    const int status = transport.ioctl(request, &raw);
    return status < 0 ? Result<void>{failure(-status, where, meaning_of_ioctl(request, -status))}
                      : Result<void>{};
}

blksnap_uuid raw_id(const Uuid& id) {
    blksnap_uuid raw{};
    put_uuid(raw.b, id);
    return raw;
}

template <class Data>
Data data_of(const blksnap_snapshot_event& raw) {
    Data data{};
    static_assert(sizeof(data) <= sizeof(raw.data));
    std::memcpy(&data, raw.data, sizeof(data));
    return data;
}

Result<SnapshotEvent> event_of(const blksnap_snapshot_event& raw, const Uuid& id) {
    SnapshotEvent event{.monotonic = std::chrono::nanoseconds{raw.time_label}};
    switch (raw.code) {
    case blksnap_event_code_low_free_space:
        event.what = LowSpace{.sectors = data_of<blksnap_event_low_free_space>(raw).requested_nr_sect};
        return event;
    case blksnap_event_code_corrupted: {
        const auto data = data_of<blksnap_event_corrupted>(raw);
        event.what = Corrupted{.major = data.dev_id_mj, .minor = data.dev_id_mn, .error = data.err_code};
        return event;
    }
    default:
        return failure(EPROTO, name_of(id), fmt::format("an event of the unknown kind {}", raw.code));
    }
}

} // namespace

std::string_view to_string(SnapshotState state) {
    switch (state) {
    case SnapshotState::fresh:
        return "new";
    case SnapshotState::taken:
        return "taken";
    case SnapshotState::corrupted:
        return "corrupted";
    }
    return "unknown";
}

// --- the module ---

Result<Module> Module::open(const std::string& path) {
    FileDescriptor file{::open(path.c_str(), O_RDWR | O_CLOEXEC)};
    if (file.get() >= 0)
        return Module{std::make_unique<DescriptorTransport>(std::move(file))};
    const bool is_missing = errno == ENOENT || errno == ENXIO || errno == ENODEV;
    return failure(errno, path,
                   is_missing ? "module blksnap is not loaded: modprobe blksnap" : meaning_of(errno));
}

Result<ModuleVersion> Module::version() const {
    blksnap_version raw{};
    if (auto done = send(*transport_, IOCTL_BLKSNAP_VERSION, raw, "blksnap"); !done)
        return std::unexpected(done.error());
    return ModuleVersion{
        .major = raw.major, .minor = raw.minor, .revision = raw.revision, .build = raw.build};
}

Result<std::vector<Uuid>> Module::snapshots() const {
    constexpr std::uint32_t more_than_usual = 16;
    std::vector<blksnap_uuid> ids(more_than_usual);
    for (;;) {
        blksnap_snapshot_collect raw{.count = static_cast<__u32>(ids.size()), .ids = address_of(ids.data())};
        const int status = transport_->ioctl(IOCTL_BLKSNAP_SNAPSHOT_COLLECT, &raw);
        // Too little room: the count says how much is needed.
        const bool is_short = status == -ENODATA && raw.count > ids.size();
        if (status < 0 && !is_short)
            return failure(-status, "snapshots", meaning_of(-status));
        ids.resize(raw.count);
        if (is_short)
            continue;
        std::vector<Uuid> all;
        all.reserve(ids.size());
        for (const auto& id : ids)
            all.push_back(uuid_of(id.b));
        return all;
    }
}

// --- a snapshot ---

Result<Snapshot> Snapshot::create(const Module& module) {
    blksnap_uuid raw{};
    if (auto done = send(*module.transport_, IOCTL_BLKSNAP_SNAPSHOT_CREATE, raw, "a new snapshot"); !done)
        return std::unexpected(done.error());
    Snapshot snapshot{module, uuid_of(raw.b)};
    snapshot.owned_ = true;
    return snapshot;
}

Snapshot::~Snapshot() {
    if (!owned_)
        return;
    // There is nobody to tell when it is gone already.
    auto raw = raw_id(id_);
    module_->transport_->ioctl(IOCTL_BLKSNAP_SNAPSHOT_DESTROY, &raw);
}

Result<void> Snapshot::append(const Storage& storage) const {
    blksnap_append_file raw{};
    raw.size = sizeof(raw);
    raw.id = raw_id(id_);
    raw.fd = storage.descriptor();
    return send(*module_->transport_, IOCTL_BLKSNAP_SNAPSHOT_APPEND_FILE, raw, name_of(id_));
}

Result<void> Snapshot::append(const std::string& node, std::span<const SectorRange> ranges) const {
    std::vector<blksnap_sectors> sectors;
    for (const auto& range : ranges)
        sectors.push_back({.offset = range.sector, .count = range.sectors});
    blksnap_snapshot_append_storage raw{};
    raw.id = raw_id(id_);
    raw.bdev_path = address_of(node.c_str());
    raw.bdev_path_size = static_cast<__u32>(node.size() + 1);
    raw.count = static_cast<__u32>(sectors.size());
    raw.ranges = address_of(sectors.data());
    return send(*module_->transport_, IOCTL_BLKSNAP_SNAPSHOT_APPEND_STORAGE, raw,
                fmt::format("{}: {}", name_of(id_), node));
}

Result<void> Snapshot::take(std::span<const DeviceId> freeze) const {
    if (freeze.empty()) {
        auto raw = raw_id(id_);
        return send(*module_->transport_, IOCTL_BLKSNAP_SNAPSHOT_TAKE, raw, name_of(id_));
    }
    const auto devices = raw_devices(freeze);
    blksnap_take_with raw{};
    raw.size = sizeof(raw);
    raw.id = raw_id(id_);
    raw.freeze = address_of(devices.data());
    raw.freeze_count = static_cast<__u32>(devices.size());
    return send(*module_->transport_, IOCTL_BLKSNAP_SNAPSHOT_TAKE_WITH, raw, name_of(id_));
}

Result<void> Snapshot::destroy() {
    owned_ = false;
    auto raw = raw_id(id_);
    return send(*module_->transport_, IOCTL_BLKSNAP_SNAPSHOT_DESTROY, raw, name_of(id_));
}

Result<std::optional<SnapshotEvent>> Snapshot::wait(std::chrono::milliseconds limit) const {
    const auto timeout_ms = raw_milliseconds(limit);
    if (!timeout_ms)
        return std::unexpected(timeout_ms.error());
    blksnap_snapshot_event raw{};
    raw.id = raw_id(id_);
    raw.timeout_ms = *timeout_ms;
    const int status = module_->transport_->ioctl(IOCTL_BLKSNAP_SNAPSHOT_WAIT_EVENT, &raw);
    if (status == -ENOENT || status == -EINTR)
        return std::nullopt;
    if (status < 0)
        return failure(-status, name_of(id_), meaning_of_ioctl(IOCTL_BLKSNAP_SNAPSHOT_WAIT_EVENT, -status));
    auto event = event_of(raw, id_);
    return event ? Result<std::optional<SnapshotEvent>>{*event} : std::unexpected(event.error());
}

Result<SnapshotStatistics> Snapshot::statistics() const {
    blksnap_statistics raw{};
    raw.size = sizeof(raw);
    raw.id = raw_id(id_);
    if (auto done = send(*module_->transport_, IOCTL_BLKSNAP_SNAPSHOT_STATISTICS, raw, name_of(id_)); !done)
        return std::unexpected(done.error());
    return SnapshotStatistics{.state = static_cast<SnapshotState>(raw.state),
                              .devices = raw.devices,
                              .chunk_sectors = raw.chunk_sectors,
                              .storage_sectors = raw.storage_sectors,
                              .used_sectors = raw.used_sectors,
                              .copied_chunks = raw.copied,
                              .chunks_in_memory = raw.in_flight,
                              .index_bytes = raw.index_bytes,
                              .writes_waited = raw.waited,
                              .closed = std::chrono::nanoseconds{raw.closed_ns}};
}

} // namespace blkfilter::blksnap
