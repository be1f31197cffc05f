// SPDX-License-Identifier: MIT
#include "message.hpp"

#include <cerrno>
#include <system_error>

namespace blkfilter {

std::string text_of_errno(int code) {
    return std::generic_category().message(code);
}

std::string meaning_of(int code) {
    switch (code) {
    case EPERM:
        return "not permitted: it needs CAP_SYS_ADMIN, run it as root";
    case ENODEV:
        return "no such device any more: it was removed or exchanged";
    case ENOTTY:
    case E2BIG:
        return "the loaded module blkfilter is older than this program and cannot do this";
    case EINVAL:
        return "the module blkfilter refuses the request as invalid";
    default:
        return text_of_errno(code);
    }
}

std::unexpected<Error> control_not_opened(int code, std::string_view path) {
    switch (code) {
    case ENOENT:
    case ENXIO:
    case ENODEV:
        return failure(code, path, "module blkfilter is not loaded: modprobe blkfilter");
    case EACCES:
    case EPERM:
        return failure(code, path, "permission denied: run it as root");
    default:
        return failure(code, path, text_of_errno(code));
    }
}

std::unexpected<Error> command_failed(int code, std::string_view device, std::string_view filter,
                                      std::uint32_t number) {
    const auto where = fmt::format("{}: {}: command {}", device, filter, number);
    switch (code) {
    case ENOENT:
        return failure(code, where, "the filter is not attached to the device");
    case ENOTTY:
        return failure(code, where, "the filter has no such command");
    case EINVAL:
        return failure(code, where, "the filter refuses the argument");
    default:
        return failure(code, where, meaning_of(code));
    }
}

} // namespace blkfilter
