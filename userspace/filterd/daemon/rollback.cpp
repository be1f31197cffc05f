// SPDX-License-Identifier: MIT
#include "daemon/rollback.hpp"

#include "daemon/state_file.hpp"

#include <algorithm>
#include <fmt/format.h>

namespace filterd {

using blkfilter::DeviceId;
using blkfilter::Stack;
using blkfilter::StackEntry;
using nlohmann::json;

namespace {

json to_json(const Stack& stack) {
    auto entries = json::array();
    for (const auto& entry : stack.entries)
        entries.push_back({{"filter", entry.name},
                           {"altitude", entry.altitude.to_string()},
                           {"options", blkfilter::to_hex(entry.options)},
                           {"owner", entry.owner.to_string()}});
    return {{"major", stack.device.major},
            {"minor", stack.device.minor},
            {"diskseq", stack.device.diskseq},
            {"entries", std::move(entries)}};
}

/// Throws json::exception, or std::bad_expected_access, for what we have not written.
Stack from_json(const json& value) {
    Stack stack{.device = {value.at("major"), value.at("minor"), value.at("diskseq")}};
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
    changes_.push_back({before, 0});
    save();
}

void Rollback::note_done(std::optional<std::uint64_t> generation) {
    if (generation)
        changes_.back().generation = *generation;
    else
        changes_.pop_back();
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

void Rollback::undo() {
    for (; !changes_.empty(); changes_.pop_back(), save())
        undo(changes_.back());
    confirm();
}

void Rollback::load() {
    const auto noted = read_state(file_);
    if (!noted.is_object())
        return;
    try {
        for (const auto& change : noted.at("changes"))
            changes_.push_back({from_json(change), change.at("generation")});
        // The clock is the same until the machine starts anew, and then the file is gone.
        deadline_ = Clock::time_point{std::chrono::nanoseconds{noted.at("deadline").get<std::int64_t>()}};
    } catch (const std::exception& error) {
        changes_.clear();
        tell_({.priority = Priority::error,
               .type = "failed",
               .text = fmt::format("{}: is not what filterd wrote, nothing is rolled back: {}",
                                   file_.string(), error.what())});
    }
}

void Rollback::save() const {
    if (!deadline_) {
        write_state(file_, nullptr);
        return;
    }
    auto changes = json::array();
    for (const auto& change : changes_) {
        changes.push_back(to_json(change.before));
        changes.back()["generation"] = change.generation;
    }
    write_state(file_, {{"deadline", std::chrono::nanoseconds{deadline_->time_since_epoch()}.count()},
                        {"changes", std::move(changes)}});
}

} // namespace filterd
