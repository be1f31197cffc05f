// SPDX-License-Identifier: MIT
/// @file
/// Replies of the daemon as people read them: lines with newlines, nothing when there is nothing to say.
#pragma once

#include "client/json.hpp"

#include <string>

namespace filterctl {

/// The reply of "status".
std::string status_view(const Json& status);

/// One device of a status, with its stack: an element of stacks_of().
std::string stack_view(const Json& stack);

/// The steps of a plan, one a line.
std::string steps_view(const Json& steps);

/// The reply of "plan" and of "apply".
std::string plan_view(const Json& reply);

/// The reply of "diff": what differs only, "-" before what the kernel has, "+" before what the files say.
std::string diff_view(const Json& reply);

/// An event of "watch", one line.
std::string event_view(const Json& event);

} // namespace filterctl
