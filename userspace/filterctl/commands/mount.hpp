// SPDX-License-Identifier: MIT
/// @file
/// Mounting what a plugin has, in the caller's own process with the caller's rights.
#pragma once

#include "commands/session.hpp"

namespace filterctl {

/// How something is mounted, as a command with FILTERD_MOUNT of <filterd/plugin.h> answers.
struct MountPlan {
    std::string source;
    std::string type;
    std::string options; ///< as of mount(8): those of the answer, and "loop" with offset and size of a part
};

/// Of the one record of an answer. "failed": it is none.
Result<MountPlan> mount_plan_of(const Json& answer);

/// Sends the command and mounts what it answers on @p folder; prints the plan.
Result<ExitCode> run_mount_command(Session& session, const Json& request, const std::string& folder);

} // namespace filterctl
