// SPDX-License-Identifier: MIT
/// @file
/// Makes a device's stack what it shall be, in one transaction, and looks whether it is.
#pragma once

#include "engine/engine.hpp"
#include "engine/plan.hpp"

namespace filterd {

struct Applied {
    Plan done; ///< what was done, and what was blocked
    bool changed{};
};

/// Reads, plans, changes in one transaction, reads back and compares. Somebody else who changes the stack
/// meanwhile makes it begin again. Running it twice changes nothing.
///
/// Errors: set_stack()'s; ESTALE when others do not stop changing the stack; EIO when it is not what was set.
blkfilter::Result<Applied> apply(Engine& engine, const blkfilter::DeviceId& device,
                                 std::span<const Wanted> wanted, bool prune);

} // namespace filterd
