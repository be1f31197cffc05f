// SPDX-License-Identifier: MIT
#include "exit_code.hpp"

#include <cerrno>

namespace blkfilter::tool {

ExitCode exit_code_of(int code) {
    switch (code) {
    case ENOENT:
    case ENODEV:
        return ExitCode::no_such_thing;
    case EBUSY:
        return ExitCode::refused;
    case ETIMEDOUT:
        return ExitCode::timeout;
    default:
        return ExitCode::failed;
    }
}

} // namespace blkfilter::tool
