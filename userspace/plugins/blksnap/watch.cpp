// SPDX-License-Identifier: MIT
/// @file
/// How snapshots are watched and grow, and how those of an earlier filterd are found again.
#include "live.hpp"

#include "../results.hpp"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <fmt/format.h>
#include <system_error>
#include <utility>

namespace filterd::snapshots {

using blkfilter::Uuid;
namespace blksnap = blkfilter::blksnap;

namespace {

constexpr std::chrono::milliseconds watch_period{1000};

std::uint64_t asked_in(const blkfilter::Result<std::optional<blksnap::SnapshotEvent>>& event) {
    const std::optional<blksnap::SnapshotEvent> found = event.value_or(std::nullopt);
    const auto* low = found ? std::get_if<blksnap::LowSpace>(&found->what) : nullptr;
    return low ? low->sectors * blkfilter::sector_bytes : 0;
}

std::string mebibytes(std::uint64_t bytes) {
    return fmt::format("{} MiB", bytes / mebibyte);
}

} // namespace

// --- watching ---

void Snapshots::begin_watching(const LivePointer& live) {
    try {
        live->watcher = std::thread{[this, live] { watch(live); }};
    } catch (const std::system_error& error) {
        around_.log(FILTERD_ERROR,
                    fmt::format("snapshot {} is not watched: {}", live->record.label, error.what()));
    }
}

/// On a thread of its own, until the snapshot has ended or filterd does.
void Snapshots::watch(const LivePointer& live) {
    const auto module = around_.module();
    if (!module)
        return around_.log(FILTERD_ERROR, fmt::format("snapshot {} is not watched: {}", live->record.label,
                                                      module.error().message));
    const blksnap::Snapshot snapshot{*module, live->record.id};
    while (!live->ends)
        watch_once(*live, snapshot);
}

void Snapshots::watch_once(Live& live, const blksnap::Snapshot& snapshot) {
    const auto event = snapshot.wait(watch_period);
    const auto statistics = snapshot.statistics();
    if (!statistics && has_ended(statistics.error())) {
        if (!live.destroying)
            around_.log(FILTERD_NOTICE, fmt::format("snapshot {} has ended: {}", live.record.label,
                                                    statistics.error().message));
        return retire(live.record.id);
    }
    if (!statistics && !std::exchange(live.is_silent, true))
        around_.log(FILTERD_ERROR, fmt::format("snapshot {}: nobody says how it is: {}", live.record.label,
                                               statistics.error().message));
    if (const std::optional<blksnap::SnapshotEvent> found = event.value_or(std::nullopt))
        tell(live, *found);
    if (!event)
        std::this_thread::sleep_for(watch_period);
    if (!statistics)
        return;
    live.is_silent = false;
    const auto growth = look(live, *statistics, asked_in(event));
    if (growth.append_bytes == 0)
        return;
    try {
        append(live, snapshot, growth.append_bytes);
    } catch (const Failure& failure) {
        around_.log(FILTERD_ERROR, fmt::format("snapshot {}: {}", live.record.label, failure.what()));
        const std::scoped_lock lock{mutex_};
        live.meter.failed(Meter::Clock::now());
    }
}

/// What is to be appended is taken off what others may have.
Growth Snapshots::look(Live& live, const blksnap::SnapshotStatistics& statistics, std::uint64_t asked_bytes) {
    const auto& policy = live.record.policy;
    const std::scoped_lock lock{mutex_};
    live.usage.used_bytes = usage_of(statistics).used_bytes;
    // It never shrinks; what extend() adds just now may not be in the statistics yet.
    live.usage.storage_bytes = std::max(live.usage.storage_bytes, usage_of(statistics).storage_bytes);
    const auto others = others_of(live);
    auto growth = live.meter.look(Meter::Clock::now(), live.usage, others, asked_bytes);
    const auto until_full = live.meter.until_full(live.usage, others);
    if (growth.warns)
        around_.log(
            FILTERD_WARNING,
            fmt::format("snapshot {}: {} of old data, {}% of what {} may hold{}", live.record.label,
                        mebibytes(live.usage.used_bytes), policy.warn_thousandths / 10, policy.path,
                        until_full ? fmt::format("; full in {} s at this rate", until_full->count()) : ""));
    if (growth.at_limit)
        around_.log(
            FILTERD_ERROR,
            fmt::format("snapshot {}: its storage cannot grow beyond {}, the limit of {}: filterctl snapshot "
                        "extend adds more",
                        live.record.label, mebibytes(live.usage.storage_bytes), policy.path));
    if (statistics.state == blksnap::SnapshotState::corrupted)
        growth.append_bytes = 0;
    live.coming_bytes += growth.append_bytes;
    return growth;
}

void Snapshots::tell(const Live& live, const blksnap::SnapshotEvent& event) const {
    const auto* corrupted = std::get_if<blksnap::Corrupted>(&event.what);
    if (!corrupted)
        return;
    const auto number = fmt::format("{}:{}", corrupted->major, corrupted->minor);
    const auto member = std::ranges::find_if(live.record.devices,
                                             [&](const Member& one) { return one.id.number() == number; });
    around_.log(FILTERD_ERROR,
                fmt::format("snapshot {}: the image of {} is not to be used any more: {}", live.record.label,
                            member == live.record.devices.end() ? number : member->name,
                            std::strerror(corrupted->error)));
}

/// So much more storage, which was added to live.coming_bytes when it was found that it may be.
void Snapshots::append(Live& live, const blksnap::Snapshot& snapshot, std::uint64_t bytes) {
    const auto storage = blksnap::Storage::in_folder(live.record.policy.path, bytes);
    const auto done = storage ? snapshot.append(*storage) : std::unexpected(storage.error());
    const std::scoped_lock lock{mutex_};
    live.coming_bytes -= bytes;
    expect_done(done);
    live.usage.storage_bytes += storage->bytes();
    around_.log(FILTERD_INFO, fmt::format("snapshot {}: {} more storage, {} in all", live.record.label,
                                          mebibytes(storage->bytes()), mebibytes(live.usage.storage_bytes)));
}

// --- what an earlier filterd has left ---

void Snapshots::adopt() {
    std::vector<std::string> wrong;
    const auto records = records_.read(wrong);
    for (const auto& line : wrong)
        around_.log(FILTERD_ERROR, line);
    const auto announced = records_.announced();
    if (records.empty() && !announced)
        return;
    const auto module = around_.module();
    // Where there is no module there is no snapshot. Other errors tell nothing.
    if (!module && module.error().code != ENOENT)
        return around_.log(FILTERD_ERROR, fmt::format("snapshots of before are not looked after: {}",
                                                      module.error().message));
    if (module && announced)
        end_unknown(*module, *announced, records);
    records_.end_announcement();
    for (const auto& record : records)
        adopt_one(record, module ? &*module : nullptr);
}

/// A filterd that was killed between the kernel's answer and the record has left one that nobody knows: not
/// there before, not on record, without devices and storage. One of another program may look the same for a
/// moment; if there are two, both stay.
void Snapshots::end_unknown(const blksnap::Module& module, const std::vector<Uuid>& before,
                            const std::vector<Record>& records) {
    std::vector<Uuid> unknown;
    for (const auto& id : module.snapshots().value_or(std::vector<Uuid>{})) {
        if (std::ranges::find(before, id) != before.end() ||
            std::ranges::find(records, id, &Record::id) != records.end())
            continue;
        const auto statistics = blksnap::Snapshot{module, id}.statistics();
        if (statistics && statistics->state == blksnap::SnapshotState::fresh && statistics->devices == 0 &&
            statistics->storage_sectors == 0)
            unknown.push_back(id);
    }
    if (unknown.size() != 1)
        return;
    const auto done = blksnap::Snapshot{module, unknown.front()}.destroy();
    around_.log(done ? FILTERD_NOTICE : FILTERD_ERROR,
                fmt::format("snapshot {}: was just begun{}", unknown.front().to_string(),
                            done ? ", and is ended" : ": " + done.error().message));
}

/// @p module: null where it is not loaded.
void Snapshots::adopt_one(Record record, const blksnap::Module* module) {
    const auto statistics = module ? blksnap::Snapshot{*module, record.id}.statistics()
                                   : std::unexpected(blkfilter::Error{ESRCH, "it has ended"});
    if (!statistics && !has_ended(statistics.error())) {
        around_.log(FILTERD_ERROR, fmt::format("snapshot {}: nobody says how it is: {}", record.label,
                                               statistics.error().message));
        // The next filterd may know whether it was taken.
        if (!record.taken)
            return;
    } else {
        record.taken = statistics && statistics->state != blksnap::SnapshotState::fresh;
    }
    due_.push_back(record);
    if (record.taken) {
        keep(record);
        around_.log(FILTERD_NOTICE, fmt::format("snapshot {}: found again", record.label));
        const auto live = std::make_shared<Live>(record);
        live->usage = statistics ? usage_of(*statistics) : Usage{};
        const std::scoped_lock lock{mutex_};
        live_.emplace(record.id, live);
        return begin_watching(live);
    }
    if (statistics) {
        blksnap::Snapshot half{*module, record.id};
        if (const auto done = half.destroy(); !done)
            around_.log(FILTERD_ERROR, done.error().message);
    }
    around_.log(FILTERD_NOTICE, fmt::format("snapshot {}: {}", record.label,
                                            statistics ? "was half made, and is ended" : "has ended"));
    links_.forget(record);
    // Its record stays until the hook was run, else another kill would lose it.
}

void Snapshots::run_due_hooks() {
    for (auto& record : std::exchange(due_, {})) {
        finish_hooks(record, record.taken);
        if (!record.taken)
            records_.remove(record.id);
    }
}

} // namespace filterd::snapshots
