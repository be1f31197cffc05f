// SPDX-License-Identifier: MIT
/// @file
/// Errors and results: whatever can fail in the normal course returns a Result.
#pragma once

#include <expected>
#include <string>

namespace blkfilter {

/// What went wrong.
struct Error {
    /// errno value, positive.
    int code;
    /// One line without a newline: where, what, and what to do about it.
    std::string message;

    friend bool operator==(const Error&, const Error&) = default;
};

/// A value, or the error that kept it from being.
template <class T>
using Result = std::expected<T, Error>;

} // namespace blkfilter
