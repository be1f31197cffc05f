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
    entry.provisional = stays->provisional;
    entry.from_first_bio = stays->from_first_bio;
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
    for (auto& entry : next)
        entry.provisional = entry.provisional && !change.confirm;
    stack.entries = std::move(next);
    stack.generation = ++generation_;
    if (stack_set)
        stack_set();
    return stack.generation;
}

Result<std::vector<DeviceId>> SimulatedEngine::devices() const {
    std::vector<DeviceId> list;
    for (const auto& [device, stack] : stacks_)
        if (!stack.entries.empty())
            list.push_back(device);
    return list;
}

Result<blkfilter::Version> SimulatedEngine::version() const {
    return blkfilter::Version{.interface = 1, .hook_active = true, .node_ioctls = true};
}

Result<std::uint32_t> SimulatedEngine::add_rule(const blkfilter::RuleRequest& rule) {
    rules_.emplace(++rule_, rule);
    if (rule_changed)
        rule_changed();
    return rule_;
}

Result<void> SimulatedEngine::remove_rule(std::uint32_t id) {
    if (rules_.erase(id) == 0)
        return failure(ENOENT);
    if (rule_changed)
        rule_changed();
    return {};
}

Result<std::vector<blkfilter::Rule>> SimulatedEngine::rules() const {
    std::vector<blkfilter::Rule> list;
    list.reserve(rules_.size());
    for (const auto& [id, rule] : rules_)
        list.push_back({.id = id,
                        .keys = rule.keys,
                        .entries = static_cast<std::uint32_t>(rule.entries.size()),
                        .provisional = rule.provisional});
    return list;
}

Result<blkfilter::Point> SimulatedEngine::point(const blkfilter::PointRequest& request) {
    for (const auto& device : request.close)
        if (!stacks_.contains(device))
            return failure(ENODEV);
    return blkfilter::Point{.id = request.id, .closed = {}, .frozen = {}};
}

Result<std::size_t> SimulatedEngine::command(const DeviceId&, std::string_view, std::uint32_t,
                                             std::span<std::byte>) {
    return failure(EOPNOTSUPP);
}

void SimulatedEngine::register_filter(const std::string& name, Altitude altitude, bool fixed_options) {
    filters_.insert_or_assign(name,
                              Filter{.info = {.name = name, .module = name, .default_altitude = altitude},
                                     .fixed_options = fixed_options});
}

namespace {

bool fits(const blkfilter::RuleKeys& wanted, const blkfilter::RuleKeys& known) {
    const auto same = [](const auto& want, const auto& is) { return !want || want == is; };
    return (wanted.kind == blkfilter::RuleKeys::Kind::any || wanted.kind == known.kind) &&
           same(wanted.major, known.major) && same(wanted.name, known.name) &&
           same(wanted.driver, known.driver) && same(wanted.partuuid, known.partuuid) &&
           same(wanted.partlabel, known.partlabel) && same(wanted.wwid, known.wwid);
}

} // namespace

void SimulatedEngine::add_device(const DeviceId& device, const blkfilter::RuleKeys& known) {
    Stack stack{.device = device};
    const auto rule =
        std::ranges::find_if(rules_, [&](const auto& one) { return fits(one.second.keys, known); });
    std::vector<StackEntry> entries;
    if (rule != rules_.end() && check(stack, rule->second.entries, entries) == 0) {
        for (auto& entry : entries) {
            entry.from_first_bio = true;
            entry.provisional = rule->second.provisional.count() > 0;
        }
        stack.entries = std::move(entries);
        stack.generation = ++generation_;
    }
    stacks_.insert_or_assign(device, std::move(stack));
}

void SimulatedEngine::remove_device(const DeviceId& device) {
    stacks_.erase(device);
}

void SimulatedEngine::end_provisional() {
    for (auto& [device, stack] : stacks_)
        if (std::erase_if(stack.entries, [](const StackEntry& entry) { return entry.provisional; }) > 0)
            stack.generation = ++generation_;
}

} // namespace filterd
