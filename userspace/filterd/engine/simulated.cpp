// SPDX-License-Identifier: MIT
#include "engine/simulated.hpp"

#include <algorithm>
#include <cerrno>
#include <set>

namespace filterd {

using blkfilter::Altitude;
using blkfilter::DeviceId;
using blkfilter::EntryRequest;
using blkfilter::Error;
using blkfilter::FilterInfo;
using blkfilter::Result;
using blkfilter::Stack;
using blkfilter::StackChange;
using blkfilter::StackEntry;

namespace {

std::unexpected<Error> failure(int code) {
    return std::unexpected(Error{.code = code, .message = "the simulated kernel refuses"});
}

} // namespace

Result<std::vector<FilterInfo>> SimulatedEngine::filters() const {
    std::vector<FilterInfo> list;
    list.reserve(filters_.size());
    for (const auto& [name, filter] : filters_)
        list.push_back(filter.info);
    return list;
}

Result<Stack> SimulatedEngine::stack(const DeviceId& device) const {
    const auto found = stacks_.find(device);
    if (found == stacks_.end())
        return failure(ENODEV);
    return found->second;
}

std::optional<StackEntry> SimulatedEngine::entry_of(const Stack& present, const EntryRequest& request,
                                                    int& error) {
    const auto filter = filters_.find(request.name);
    if (filter == filters_.end()) {
        error = ENOENT;
        return {};
    }
    const auto altitude = request.altitude.value_or(filter->second.info.default_altitude);
    const auto stays = std::ranges::find(present.entries, request.name, &StackEntry::name);
    StackEntry entry{
        .name = request.name, .altitude = altitude, .options = request.options, .owner = request.owner};
    if (stays == present.entries.end()) {
        entry.instance = ++instance_;
        return entry;
    }
    if (stays->options != request.options && filter->second.fixed_options) {
        error = EOPNOTSUPP;
        return {};
    }
    entry.instance = stays->instance;
    return entry;
}

int SimulatedEngine::check(const Stack& present, std::span<const EntryRequest> entries,
                           std::vector<StackEntry>& next) {
    std::set<std::string> names;
    std::set<Altitude> altitudes;
    int error = 0;
    for (const auto& request : entries) {
        auto entry = entry_of(present, request, error);
        if (!entry)
            return error;
        if (!names.insert(entry->name).second)
            return EEXIST;
        if (!altitudes.insert(entry->altitude).second)
            return EBUSY;
        next.push_back(std::move(*entry));
    }
    std::ranges::sort(next, std::greater{}, &StackEntry::altitude);
    return 0;
}

Result<std::uint64_t> SimulatedEngine::set_stack(const DeviceId& device,
                                                 std::span<const EntryRequest> entries,
                                                 const StackChange& change) {
    if (const int error = interfere ? interfere(device) : 0)
        return failure(error);
    const auto found = stacks_.find(device);
    if (found == stacks_.end())
        return failure(ENODEV);
    auto& stack = found->second;
    if (change.expected_generation && *change.expected_generation != stack.generation)
        return failure(ESTALE);
    std::vector<StackEntry> next;
    if (const int error = check(stack, entries, next))
        return failure(error);
    if (change.dry_run)
        return stack.generation;
    stack.entries = std::move(next);
    stack.generation = ++generation_;
    return stack.generation;
}

void SimulatedEngine::register_filter(const std::string& name, Altitude altitude, bool fixed_options) {
    filters_.insert_or_assign(name,
                              Filter{.info = {.name = name, .module = name, .default_altitude = altitude},
                                     .fixed_options = fixed_options});
}

void SimulatedEngine::add_device(const DeviceId& device) {
    stacks_.insert_or_assign(device, Stack{.device = device});
}

void SimulatedEngine::remove_device(const DeviceId& device) {
    stacks_.erase(device);
}

} // namespace filterd
