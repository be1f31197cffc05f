// SPDX-License-Identifier: MIT
#include "engine/apply.hpp"

#include <cerrno>

namespace filterd {

using blkfilter::DeviceId;
using blkfilter::Error;
using blkfilter::Result;

namespace {

constexpr int tries = 10;

Result<Plan> plan_now(const Engine& engine, const DeviceId& device, std::span<const Wanted> wanted,
                      bool prune, std::uint64_t& generation) {
    const auto registered = engine.filters();
    if (!registered)
        return std::unexpected(registered.error());
    const auto present = engine.stack(device);
    if (!present)
        return std::unexpected(present.error());
    generation = present->generation;
    return make_plan(wanted, *present, *registered, prune);
}

} // namespace

Result<Applied> apply(Engine& engine, const DeviceId& device, std::span<const Wanted> wanted, bool prune) {
    Error last{.code = ESTALE, .message = ""};
    for (int i = 0; i < tries; ++i) {
        std::uint64_t generation{};
        auto plan = plan_now(engine, device, wanted, prune, generation);
        if (!plan)
            return std::unexpected(plan.error());
        if (!plan->changes())
            return Applied{.done = std::move(*plan), .changed = false};
        const auto set = engine.set_stack(device, plan->entries, {.expected_generation = generation});
        if (!set && set.error().code == ESTALE) {
            last = set.error();
            continue;
        }
        if (!set)
            return std::unexpected(set.error());
        const auto after = plan_now(engine, device, wanted, prune, generation);
        if (!after)
            return std::unexpected(after.error());
        if (generation != *set)
            continue; // somebody else's change came behind ours: look again
        if (after->changes())
            return std::unexpected(Error{
                .code = EIO, .message = blkfilter::device_name(device) + ": the stack is not what was set"});
        return Applied{.done = std::move(*plan), .changed = true};
    }
    return std::unexpected(last);
}

} // namespace filterd
