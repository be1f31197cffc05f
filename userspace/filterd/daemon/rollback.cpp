// SPDX-License-Identifier: MIT
#include "daemon/rollback.hpp"

#include "daemon/state_file.hpp"

#include <algorithm>
#include <fmt/format.h>
#include <utility>

namespace filterd {

using blkfilter::DeviceId;
using blkfilter::Stack;
using blkfilter::StackEntry;
using nlohmann::json;

namespace {

json to_json(const DeviceId& device) {
    return {device.major, device.minor, device.diskseq};
}

DeviceId device_from_json(const json& value) {
    return {value.at(0), value.at(1), value.at(2)};
}

json to_json(const Stack& stack) {
    auto entries = json::array();
    for (const auto& entry : stack.entries)
        entries.push_back({{"filter", entry.name},
                           {"altitude", entry.altitude.to_string()},
                           {"options", blkfilter::to_hex(entry.options)},
                           {"owner", entry.owner.to_string()}});
    return {{"device", to_json(stack.device)}, {"entries", std::move(entries)}};
}

/// Throws json::exception, or std::bad_expected_access, for what we have not written.
Stack from_json(const json& value) {
    Stack stack{.device = device_from_json(value.at("device"))};
    for (const auto& entry : value.at("entries"))
        stack.entries.push_back(
            {.name = entry.at("filter"),
             .altitude = blkfilter::Altitude::parse(entry.at("altitude").get<std::string>()).value(),
             .options = blkfilter::from_hex(entry.at("options").get<std::string>()).value(),
             .owner = blkfilter::OwnerTag::parse(entry.at("owner").get<std::string>()).value()});
    return stack;
}

} // namespace

Rollback::Rollback(Engine& engine, std::filesystem::path file, Tell tell)
    : engine_{engine}, file_{std::move(file)}, tell_{std::move(tell)} {
    load();
}

std::optional<std::chrono::seconds> Rollback::left(Clock::time_point now) const {
    if (!deadline_)
        return {};
    return std::max(std::chrono::ceil<std::chrono::seconds>(*deadline_ - now), std::chrono::seconds{});
}

void Rollback::begin(Clock::time_point deadline) {
    deadline_ = deadline;
    changes_.clear();
    save();
}

void Rollback::note(const Stack& before) {
    auto last = std::ranges::find_if(changes_, [&](const Change& change) {
        return change.before.device == before.device && change.generation != 0 &&
               change.generation == before.generation;
    });
    if (last == changes_.end())
        last = changes_.insert(last, {before, 0});
    begun_ = {.place = static_cast<std::size_t>(last - changes_.begin()),
              .generation = std::exchange(last->generation, 0)};
    save();
}

void Rollback::note_done(std::optional<std::uint64_t> generation) {
    auto& change = changes_.at(begun_.place);
    change.generation = generation.value_or(begun_.generation);
    if (change.generation == 0)
        changes_.pop_back(); // it was new
    save();
}

void Rollback::confirm() {
    deadline_.reset();
    changes_.clear();
    save();
}

void Rollback::undo(const Change& change) const {
    std::vector<blkfilter::EntryRequest> entries;
    entries.reserve(change.before.entries.size());
    for (const auto& entry : change.before.entries)
        entries.push_back(request_of(entry));
    const auto& device = change.before.device;
    blkfilter::StackChange how{.confirm = true};
    if (change.generation != 0)
        how.expected_generation = change.generation;
    const auto done = engine_.set_stack(device, entries, how);
    if (done)
        tell_({.priority = Priority::notice,
               .type = "rolled-back",
               .text = "its filters are as they were before the last apply",
               .device = blkfilter::device_name(device)});
    else
        tell_({.priority = Priority::error,
               .type = "failed",
               .text = fmt::format("cannot be rolled back: {}", done.error().code == ESTALE
                                                                    ? "somebody has changed its filters since"
                                                                    : done.error().message),
               .device = blkfilter::device_name(device)});
}

void Rollback::undo(std::set<DeviceId> devices) {
    alone_ = std::move(devices);
    save();
    for (; !changes_.empty(); changes_.pop_back(), save())
        undo(changes_.back());
    confirm();
}

void Rollback::leave_none_alone() {
    if (alone_.empty())
        return;
    alone_.clear();
    save();
}

void Rollback::load() {
    const auto noted = read_state(file_);
    if (!noted.is_object())
        return;
    try {
        for (const auto& change : noted.at("changes"))
            changes_.push_back({from_json(change), change.at("generation")});
        for (const auto& device : noted.at("alone"))
            alone_.insert(device_from_json(device));
        // The clock is the same until the machine starts anew, and then the file is gone.
        if (const auto& deadline = noted.at("deadline"); !deadline.is_null())
            deadline_ = Clock::time_point{std::chrono::nanoseconds{deadline.get<std::int64_t>()}};
        find_generations();
    } catch (const std::exception& error) {
        changes_.clear();
        alone_.clear();
        tell_({.priority = Priority::error,
               .type = "failed",
               .text = fmt::format("{}: is not what filterd wrote, nothing is rolled back: {}",
                                   file_.string(), error.what())});
    }
}

/// Of what the last filterd was changing when it was killed: it has just happened, or not, and either way
/// what is there now is ours. Known, it keeps us from undoing what others do from here on.
void Rollback::find_generations() {
    for (auto& change : changes_)
        if (change.generation == 0)
            if (const auto present = engine_.stack(change.before.device))
                change.generation = present->generation;
}

void Rollback::save() const {
    if (!deadline_ && alone_.empty()) {
        write_state(file_, nullptr);
        return;
    }
    auto changes = json::array();
    for (const auto& change : changes_) {
        changes.push_back(to_json(change.before));
        changes.back()["generation"] = change.generation;
    }
    auto alone = json::array();
    for (const auto& device : alone_)
        alone.push_back(to_json(device));
    write_state(file_,
                {{"deadline",
                  deadline_ ? json(std::chrono::nanoseconds{deadline_->time_since_epoch()}.count()) : json{}},
                 {"changes", std::move(changes)},
                 {"alone", std::move(alone)}});
}

} // namespace filterd
