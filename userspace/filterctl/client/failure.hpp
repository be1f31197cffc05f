// SPDX-License-Identifier: MIT
/// @file
/// Why something did not work, and how the program ends.
#pragma once

#include "client/json.hpp"

#include <expected>
#include <string>
#include <string_view>
#include <utility>

namespace filterctl {

/// How the program ends.
enum class ExitCode : int {
    done = 0, ///< or already so
    failed = 1,
    usage = 2, ///< or a wrong configuration
    unreachable = 3,
    no_such_thing = 4,
    refused = 5,
    timeout = 6,
    partly = 10,
    pending = 20,
};

/// What went wrong: an error of the daemon, or one of our own in the same form.
struct Failure {
    std::string code{};     ///< of docs/control-protocol.md, or "unreachable"
    std::string message{};  ///< one line without a newline
    Json details = nullptr; ///< what the reply would have been, or null
};

/// A value, or why there is none.
template <class T>
using Result = std::expected<T, Failure>;

/// That there is no value, and why.
inline std::unexpected<Failure> fail(std::string code, std::string message) {
    return std::unexpected(Failure{.code = std::move(code), .message = std::move(message)});
}

/// Why there is none, to one who wanted another value.
template <class T>
std::unexpected<Failure> pass_on(const Result<T>& result) {
    return std::unexpected(result.error());
}

/// The exit code for a failure's code; "failed" for one that we do not know.
ExitCode exit_code_of(std::string_view code);

/// An error of the daemon: an object with those members.
Failure failure_of(const Json& error);

/// The failure with the members "code", "message" and, if there are any, "details".
Json json_of(const Failure& failure);

} // namespace filterctl
