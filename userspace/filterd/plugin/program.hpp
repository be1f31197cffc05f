// SPDX-License-Identifier: MIT
/// @file
/// Commands of the administrator that are run beside a plugin's work.
#pragma once

#include <chrono>

namespace filterd::plugin {

/// Runs @p command by /bin/sh with the variables @p environment ("NAME=VALUE", a null pointer behind the
/// last; may be null) besides our own, nothing as its input, our output as its own, and waits. When it has
/// not ended after
/// @p limit it is asked to, with all that it has started, and killed two seconds later.
///
/// Its exit status, 128 and the signal's number when a signal has ended it; -ETIMEDOUT; or another negative
/// errno when it could not be run. From any thread.
int run_shell(const char* command, const char* const* environment, std::chrono::milliseconds limit);

} // namespace filterd::plugin
