// SPDX-License-Identifier: MIT
/// @file
/// What people type, and what is wrong with it: the complaints are for CLI11's check(), and empty when
/// nothing is.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace filterctl {

/// Reads a time such as "60s", "5m" or "1h"; without a unit it is seconds. Nothing: it is something else,
/// zero, or more than a week.
std::optional<std::uint64_t> parse_seconds(std::string_view text);

std::string seconds_complaint(const std::string& text);

/// How long to wait: seconds, with a fraction or without.
std::string timeout_complaint(const std::string& text);

/// A decimal number.
std::string number_complaint(const std::string& text);

/// A decimal number that is not zero.
std::string count_complaint(const std::string& text);

/// A number of bytes, plain or with a unit.
std::string bytes_complaint(const std::string& text);

/// An altitude.
std::string altitude_complaint(const std::string& text);

} // namespace filterctl
