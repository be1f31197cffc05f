// SPDX-License-Identifier: MIT
#include "engine/apply.hpp"

#include <algorithm>
#include <cerrno>

namespace filterd {

using blkfilter::DeviceId;
using blkfilter::EntryRequest;
using blkfilter::Error;
using blkfilter::Result;
using blkfilter::Stack;
using blkfilter::StackEntry;

namespace {

constexpr int tries = 10;

/// One apply().
class Attempt {
public:
    Attempt(Engine& engine, const DeviceId& device, std::span<const Wanted> wanted,
            const ApplyOptions& options)
        : engine_{engine}, device_{device}, wanted_{wanted}, circumstances_{.prune = options.prune} {}

    /// Reads what is there, and plans.
    Result<Plan> plan() {
        auto registered = engine_.filters();
        if (!registered)
            return std::unexpected(registered.error());
        auto present = engine_.stack(device_);
        if (!present)
            return std::unexpected(present.error());
        circumstances_.registered = std::move(*registered);
        present_ = std::move(*present);
        return make_plan(wanted_, present_, circumstances_);
    }

    /// Does it, or asks whether it would work, unless somebody else has changed the stack since plan():
    /// ESTALE.
    Result<std::uint64_t> set(const Plan& plan, bool dry_run) {
        return engine_.set_stack(
            device_, plan.entries,
            {.dry_run = dry_run, .expected_generation = present_.generation, .confirm = true});
    }

    /// A rule has attached a declared filter, and it would go again.
    [[nodiscard]] bool is_provisional() const {
        return std::ranges::any_of(present_.entries, [&](const StackEntry& entry) {
            return entry.provisional && ownership_of(entry, wanted_) == Ownership::declared;
        });
    }

    /// After EOPNOTSUPP: finds the filters that take no other options. False: it is not that.
    bool find_fixed(const Plan& plan) {
        const auto known = circumstances_.fixed.size();
        for (const auto& entry : present_.entries) {
            const auto wanted = std::ranges::find(plan.entries, entry.name, &EntryRequest::name);
            if (wanted != plan.entries.end() && wanted->options != entry.options &&
                !takes(entry, wanted->options))
                circumstances_.fixed.push_back(entry.name);
        }
        return circumstances_.fixed.size() != known;
    }

    [[nodiscard]] std::uint64_t generation() const { return present_.generation; }

private:
    /// Would the kernel give this filter these options and change nothing else?
    bool takes(const StackEntry& filter, const blkfilter::Bytes& options) {
        std::vector<EntryRequest> entries;
        for (const auto& entry : present_.entries) {
            entries.push_back(request_of(entry));
            if (entry.name == filter.name)
                entries.back().options = options;
        }
        const auto answer = engine_.set_stack(device_, entries, {.dry_run = true});
        return answer || answer.error().code != EOPNOTSUPP;
    }

    Engine& engine_;
    DeviceId device_;
    std::span<const Wanted> wanted_;
    Circumstances circumstances_;
    Stack present_;
};

} // namespace

Result<Applied> apply(Engine& engine, const DeviceId& device, std::span<const Wanted> wanted,
                      const ApplyOptions& options) {
    Attempt attempt{engine, device, wanted, options};
    Error last{.code = ESTALE,
               .message = blkfilter::device_name(device) + ": others do not stop changing its filters"};
    for (int i = 0; i < tries; ++i) {
        auto plan = attempt.plan();
        if (!plan)
            return std::unexpected(plan.error());
        const bool changes = plan->changes();
        if (!changes && (options.only_plan || !attempt.is_provisional()))
            return Applied{.done = std::move(*plan), .changed = false, .generation = attempt.generation()};
        const auto set = attempt.set(*plan, options.only_plan);
        if (!set &&
            (set.error().code == ESTALE || (set.error().code == EOPNOTSUPP && attempt.find_fixed(*plan)))) {
            last = set.error();
            continue;
        }
        if (options.only_plan) // whatever else is in the way now may not be then
            return Applied{.done = std::move(*plan), .changed = false, .generation = attempt.generation()};
        if (!set)
            return std::unexpected(set.error());
        const auto after = attempt.plan();
        if (!after)
            return std::unexpected(after.error());
        if (attempt.generation() != *set)
            continue; // somebody else's change came behind ours: look again
        if (after->changes())
            return std::unexpected(Error{
                .code = EIO, .message = blkfilter::device_name(device) + ": the stack is not what was set"});
        return Applied{.done = std::move(*plan), .changed = changes, .generation = *set};
    }
    return std::unexpected(last);
}

} // namespace filterd
