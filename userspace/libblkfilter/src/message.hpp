// SPDX-License-Identifier: MIT
/// @file
/// Texts of errors.  Neither installed nor exported.
#pragma once

#include <blkfilter/error.hpp>

#include <cstdint>
#include <expected>
#include <fmt/format.h>
#include <string>
#include <string_view>

#pragma GCC visibility push(hidden)

namespace blkfilter {

/// An error with the message "where: what".
inline std::unexpected<Error> failure(int code, std::string_view where, std::string_view what) {
    return std::unexpected(Error{.code = code, .message = fmt::format("{}: {}", where, what)});
}

/// The system's text for an errno value.
std::string text_of_errno(int code);

/// What an errno value means when the core gives it to any command; the system's
/// text for those that have no special meaning.
std::string meaning_of(int code);

/// Why @p path, the control device, could not be opened.
std::unexpected<Error> control_not_opened(int code, std::string_view path);

/// Why a filter's command failed on the device named @p device.
std::unexpected<Error> command_failed(int code, std::string_view device, std::string_view filter,
                                      std::uint32_t number);

} // namespace blkfilter

#pragma GCC visibility pop
