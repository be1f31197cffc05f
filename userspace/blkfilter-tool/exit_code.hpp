// SPDX-License-Identifier: MIT
/// @file
/// How the program ends.
#pragma once

namespace blkfilter::tool {

enum class ExitCode : int {
    done = 0,
    failed = 1,
    usage = 2,
    no_such_thing = 4,
    refused = 5,
    timeout = 6,
};

/// The exit code for an errno value.
ExitCode exit_code_of(int code);

} // namespace blkfilter::tool
