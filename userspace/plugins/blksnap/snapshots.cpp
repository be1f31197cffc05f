// SPDX-License-Identifier: MIT
#include "live.hpp"

#include "../results.hpp"

#include <algorithm>
#include <cerrno>
#include <fmt/format.h>
#include <utility>

namespace filterd::snapshots {

using blkfilter::Uuid;
namespace blksnap = blkfilter::blksnap;

Snapshots::Snapshots(Surroundings surroundings)
    : around_{std::move(surroundings)}, records_{around_.state_folder / "snapshots", around_.boot},
      links_{around_.link_folder} {}

Snapshots::~Snapshots() {
    {
        const std::scoped_lock lock{mutex_};
        for (const auto& [id, live] : live_) {
            live->ends = true;
            retired_.add(live);
        }
    }
    retired_.join();
}

// --- the table ---

Snapshots::LivePointer Snapshots::live_of(const Uuid& id) const {
    const std::scoped_lock lock{mutex_};
    const auto found = live_.find(id);
    return found == live_.end() ? nullptr : found->second;
}

/// By its label, or by an id, which may be another program's.
std::optional<Uuid> Snapshots::id_of(const std::string& name) const {
    const std::scoped_lock lock{mutex_};
    const auto found =
        std::ranges::find_if(live_, [&](const auto& entry) { return entry.second->record.label == name; });
    if (found != live_.end())
        return found->first;
    const auto id = Uuid::parse(name);
    return id ? std::optional{*id} : std::nullopt;
}

bool Snapshots::is_label_in_use(const std::string& label) const {
    const std::scoped_lock lock{mutex_};
    return std::ranges::any_of(live_, [&](const auto& entry) { return entry.second->record.label == label; });
}

/// What other snapshots have of the same storage, and what is just added to this one. With the lock.
std::uint64_t Snapshots::others_of(const Live& live) const {
    std::uint64_t bytes = live.coming_bytes;
    for (const auto& [id, other] : live_)
        if (id != live.record.id && other->record.policy.path == live.record.policy.path)
            bytes += other->usage.storage_bytes + other->coming_bytes;
    return bytes;
}

/// Takes what has ended off the table, and what is beside the kernel's part of it away. May come twice.
void Snapshots::retire(const Uuid& id) {
    LivePointer live;
    {
        const std::scoped_lock lock{mutex_};
        const auto found = live_.find(id);
        if (found == live_.end())
            return;
        live = found->second;
        live_.erase(found);
        retired_.add(live);
    }
    live->ends = true;
    links_.forget(live->record);
    records_.remove(id);
}

// --- what is asked ---

/// The kernel is not asked about one that is being made: it may be busy with it for minutes.
Status Snapshots::status_of(const Uuid& id, const blksnap::Module& module) const {
    const auto live = live_of(id);
    if (!live)
        return {.record = {.id = id},
                .ours = false,
                .statistics = value_of(blksnap::Snapshot{module, id}.statistics())};
    Status status;
    {
        const std::scoped_lock lock{mutex_};
        status.record = live->record;
        status.statistics.storage_sectors = live->usage.storage_bytes / blkfilter::sector_bytes;
    }
    if (status.record.taken)
        status.statistics = value_of(blksnap::Snapshot{module, id}.statistics());
    const auto usage = usage_of(status.statistics);
    const std::scoped_lock lock{mutex_};
    status.others_bytes = others_of(*live);
    status.rate = live->meter.rate();
    status.until_full = live->meter.until_full(usage, status.others_bytes);
    return status;
}

std::vector<Status> Snapshots::list() const {
    const auto module = value_of(around_.module());
    std::vector<Status> all;
    for (const auto& id : value_of(module.snapshots())) {
        try {
            all.push_back(status_of(id, module));
        } catch (const Failure& failure) {
            // One that has ended in between.
            if (failure.code() != ESRCH)
                throw;
        }
    }
    std::ranges::sort(all, {}, [](const Status& one) { return one.record.created; });
    return all;
}

Status Snapshots::find(const std::string& name) const {
    if (const auto id = id_of(name)) {
        try {
            return status_of(*id, value_of(around_.module()));
        } catch (const Failure& failure) {
            if (failure.code() != ESRCH)
                throw;
        }
    }
    throw Failure{ENOENT, fmt::format("there is no snapshot '{}': see filterctl snapshot list", name)};
}

Status Snapshots::find_made(const std::string& name) const {
    auto status = find(name);
    if (status.ours && !status.record.taken)
        throw Failure{EBUSY, fmt::format("snapshot {} is being made: try again when it is", name)};
    return status;
}

void Snapshots::extend(const std::string& name, std::uint64_t bytes) {
    const auto status = find_made(name);
    const auto live = live_of(status.record.id);
    if (!live)
        throw Failure{EPERM, fmt::format("snapshot {} is another program's", name)};
    if (live->record.policy.is_device)
        throw Failure{EOPNOTSUPP,
                      fmt::format("snapshot {}: its storage is the device {}, which is all in use", name,
                                  live->record.policy.path)};
    const auto module = value_of(around_.module());
    {
        const std::scoped_lock lock{mutex_};
        live->coming_bytes += bytes;
    }
    append(*live, blksnap::Snapshot{module, status.record.id}, bytes);
}

void Snapshots::refuse_mounted(const Record& record) const {
    std::set<std::string> images;
    for (const auto& member : record.devices)
        images.insert(std::filesystem::path{member.image()}.filename());
    for (const auto& mounted : file_systems_on(images, around_.roots))
        throw Failure{EBUSY, fmt::format("snapshot {}: its image {} is mounted on {}: unmount it, or --force",
                                         record.label, mounted.device, mounted.mount_point)};
}

void Snapshots::destroy(const std::string& name, bool force) {
    const auto status = find_made(name);
    if (!status.ours && !force)
        throw Failure{
            EPERM, fmt::format("snapshot {} is another program's: --force destroys it all the same", name)};
    if (!force)
        refuse_mounted(status.record);
    const auto live = live_of(status.record.id);
    if (live)
        live->destroying = true;
    const auto module = value_of(around_.module());
    const auto done = blksnap::Snapshot{module, status.record.id}.destroy();
    if (!done && !has_ended(done.error())) {
        if (live)
            live->destroying = false;
        throw Failure{done.error().code, done.error().message};
    }
    retire(status.record.id);
}

} // namespace filterd::snapshots
