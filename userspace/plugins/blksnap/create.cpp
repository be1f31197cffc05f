// SPDX-License-Identifier: MIT
/// @file
/// How a snapshot is made.
#include "live.hpp"

#include "../moment.hpp"
#include "../results.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fmt/format.h>
#include <utility>

namespace filterd::snapshots {

using blkfilter::Uuid;
namespace blksnap = blkfilter::blksnap;

namespace {

std::string joined_names(const Record& record) {
    std::string names;
    for (const auto& member : record.devices)
        names += (names.empty() ? "" : " ") + member.declared;
    return names;
}

/// What a label is made of when none is given: the time, as a link's name may have it.
std::string usual_label() {
    auto label = now_as_text();
    std::ranges::replace(label, ':', '-');
    return label;
}

std::set<std::string> names_of(const std::vector<Member>& devices) {
    std::set<std::string> names;
    for (const auto& member : devices)
        names.insert(member.name);
    return names;
}

} // namespace

// --- hooks ---

int Snapshots::run_hook(const Record& record, const std::string& command, const char* result) const {
    return around_.run(command,
                       {"FILTERD_SNAPSHOT=" + record.label, "FILTERD_SNAPSHOT_ID=" + record.id.to_string(),
                        "FILTERD_GROUP=" + record.group, "FILTERD_DEVICES=" + joined_names(record),
                        std::string{"FILTERD_RESULT="} + result},
                       record.hooks.seconds);
}

void Snapshots::run_before(Record& record) {
    const auto& command = record.hooks.before;
    record.hooks.after_is_due = true;
    records_.write(record);
    const int status = command.empty() ? 0 : run_hook(record, command, "");
    if (status == -ETIMEDOUT)
        throw Failure{ECANCELED, fmt::format("the hook before it, '{}', has not ended after {} s", command,
                                             record.hooks.seconds)};
    if (status != 0)
        throw Failure{ECANCELED, fmt::format("the hook before it, '{}', has {}", command,
                                             status < 0 ? std::strerror(-status)
                                                        : fmt::format("ended with {}", status))};
}

/// Whatever has become of the snapshot, what the hook before has stopped goes on.
void Snapshots::finish_hooks(Record& record, bool taken) {
    if (!record.hooks.after_is_due)
        return;
    const auto& command = record.hooks.after;
    const int status = command.empty() ? 0 : run_hook(record, command, taken ? "taken" : "failed");
    if (status != 0)
        around_.log(FILTERD_ERROR,
                    fmt::format("snapshot {}: the hook after it, '{}', has {}", record.label, command,
                                status < 0 ? std::strerror(-status) : fmt::format("ended with {}", status)));
    record.hooks.after_is_due = false;
    // It may have been destroyed meanwhile, and its record with it.
    if (taken && live_of(record.id))
        keep(record);
}

/// After the instant, when there is no way back: the record that is there leads to the same, but for a hook
/// that is run again by the next filterd.
void Snapshots::keep(const Record& record) const {
    try {
        records_.write(record);
    } catch (const std::exception& error) {
        around_.log(FILTERD_ERROR,
                    fmt::format("snapshot {}: its record is lost: {}", record.label, error.what()));
    }
}

// --- the steps ---

void Snapshots::check(const Request& request) const {
    if (request.devices.empty())
        throw Failure{EINVAL, "a snapshot of nothing: name devices, or --group"};
    if (!is_label(request.label))
        throw Failure{EINVAL,
                      fmt::format("'{}' is no label: up to 63 letters, digits, '.', '_' and '-', a letter or "
                                  "digit first",
                                  request.label)};
    for (auto one = request.devices.begin(); one != request.devices.end(); ++one)
        if (std::find_if(request.devices.begin(), one,
                         [&](const Member& other) { return other.id == one->id; }) != one)
            throw Failure{EINVAL, fmt::format("{} is named twice", one->declared)};
    if (is_label_in_use(request.label))
        throw Failure{EEXIST, fmt::format("there is a snapshot '{}' already", request.label)};
    const auto control = value_of(around_.control());
    for (const auto& member : request.devices) {
        const auto info = blksnap::Tracker{control, member.id}.info();
        if (!info && info.error().code == ENOENT)
            throw Failure{ENOENT, fmt::format("{} has no filter blksnap: declare it in the configuration, or "
                                              "filterctl stack attach {} blksnap",
                                              member.declared, member.name)};
        if (!info)
            throw Failure{info.error().code, info.error().message};
    }
}

/// A new one of the kernel, which is on record and in the table from its first moment on: whenever filterd is
/// killed the next one knows it, and whoever asks sees that it is being made.
blksnap::Snapshot Snapshots::begin(const blksnap::Module& module, Record& record) {
    const auto announcement = records_.announce(value_of(module.snapshots()));
    const std::scoped_lock lock{mutex_};
    auto snapshot = value_of(blksnap::Snapshot::create(module));
    record.id = snapshot.id();
    records_.write(record);
    live_.emplace(record.id, std::make_shared<Live>(record));
    return snapshot;
}

/// Room for the first old data.
void Snapshots::fill(Live& live, const blksnap::Snapshot& snapshot) {
    const auto& policy = live.record.policy;
    if (policy.is_device) {
        const auto storage = value_of(blksnap::Storage::device(policy.path));
        expect_done(snapshot.append(storage));
        const std::scoped_lock lock{mutex_};
        live.usage.storage_bytes = storage.bytes();
        return;
    }
    std::filesystem::create_directories(policy.path);
    std::uint64_t bytes{};
    {
        const std::scoped_lock lock{mutex_};
        const auto left = policy.limit_bytes - std::min(policy.limit_bytes, others_of(live));
        if (left < mebibyte)
            throw Failure{ENOSPC, fmt::format("{}: its limit of {} bytes is used up by other snapshots",
                                              policy.path, policy.limit_bytes)};
        bytes = std::min(policy.step_bytes, left / mebibyte * mebibyte);
        live.coming_bytes += bytes;
    }
    append(live, snapshot, bytes);
}

/// From the hook before to the instant. What is mounted is looked at behind the hook, which may change it.
/// Return: the file systems that are on the devices.
std::vector<FileSystem> Snapshots::take(const blksnap::Snapshot& snapshot, Record& record,
                                        const Progress& progress) {
    const auto control = value_of(around_.control());
    for (const auto& member : record.devices)
        expect_done(blksnap::Tracker{control, member.id}.add_to(record.id));
    links_.note(record);
    progress(300, "hook before");
    run_before(record);
    progress(600, "taking");
    auto file_systems = file_systems_on(names_of(record.devices), around_.roots);
    write_back(file_systems);
    expect_done(snapshot.take(to_be_frozen(file_systems)));
    return file_systems;
}

/// Nothing stays of what could not be taken. If the kernel does not let it go, the record stays too: the next
/// filterd tries again.
void Snapshots::give_up(blksnap::Snapshot snapshot, Record& record) {
    const auto done = snapshot.destroy();
    finish_hooks(record, false);
    if (done || has_ended(done.error()))
        return retire(record.id);
    around_.log(FILTERD_ERROR, fmt::format("snapshot {}, which was not taken, stays: {}", record.label,
                                           done.error().message));
    const std::scoped_lock lock{mutex_};
    live_.erase(record.id);
}

Created Snapshots::create(Request request, const Progress& progress) {
    const std::scoped_lock one_at_a_time{creating_};
    retired_.join();
    if (request.label.empty())
        request.label = usual_label();
    check(request);
    tell_apart(request.devices);
    const auto module = value_of(around_.module());
    std::vector<FileSystem> file_systems;
    Record record{.label = request.label,
                  .group = request.group,
                  .created = now_as_text(),
                  .devices = std::move(request.devices),
                  .policy = std::move(request.policy),
                  .hooks = std::move(request.hooks)};
    auto snapshot = begin(module, record);
    const auto live = live_of(record.id);
    try {
        progress(100, "storage");
        fill(*live, snapshot);
        file_systems = take(snapshot, record, progress);
    } catch (...) {
        give_up(std::move(snapshot), record);
        throw;
    }
    // From here on there is a snapshot, whatever becomes of the rest.
    snapshot.release();
    record.taken = true;
    {
        const std::scoped_lock lock{mutex_};
        live->record.taken = true;
    }
    keep(record);
    begin_watching(live);
    finish_hooks(record, true);
    return {.record = record,
            .statistics = snapshot.statistics().value_or(
                blksnap::SnapshotStatistics{.state = blksnap::SnapshotState::taken}),
            .file_systems = std::move(file_systems)};
}

} // namespace filterd::snapshots
