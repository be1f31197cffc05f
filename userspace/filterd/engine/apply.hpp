// SPDX-License-Identifier: MIT
/// @file
/// Makes a device's stack what it shall be, in one transaction, and looks whether it is.
#pragma once

#include "engine/engine.hpp"
#include "engine/plan.hpp"

namespace filterd {

/// What may be done beside attaching and changing.
struct ApplyOptions {
    PruneRule prune{}; ///< nothing: no orphaned filter goes
    bool only_plan{};  ///< nothing is changed
};

struct Applied {
    Plan done; ///< what was done, and what was blocked
    bool changed{};
    std::uint64_t generation{}; ///< of the stack now
};

/// Reads, plans, changes in one transaction, reads back and compares. Somebody else who changes the stack
/// meanwhile makes it begin again. Running it twice changes nothing. Declared filters that a rule has
/// attached provisionally stay for good.
///
/// Errors: set_stack()'s; ESTALE when others do not stop changing the stack; EIO when it is not what was set.
blkfilter::Result<Applied> apply(Engine& engine, const blkfilter::DeviceId& device,
                                 std::span<const Wanted> wanted, const ApplyOptions& options = {});

} // namespace filterd
