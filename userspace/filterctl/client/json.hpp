// SPDX-License-Identifier: MIT
/// @file
/// JSON as the daemon sends it, read without trust: what is missing or of another type is empty.
#pragma once

#include <nlohmann/json.hpp>

#include <cstdint>
#include <string>
#include <string_view>

namespace filterctl {

/// Keeps the order of members, which is the order of a table's columns where nobody says another one.
using Json = nlohmann::ordered_json;

/// A member of an object; null when it is not there, or @p object is none.
const Json& member(const Json& object, std::string_view key);

/// A member that is a list; an empty one when it is none.
const Json& list_of(const Json& object, std::string_view key);

/// A member that is a text; empty when it is none.
std::string text_of(const Json& object, std::string_view key);

/// A member that is a whole number that is not negative; 0 when it is none.
std::uint64_t number_of(const Json& object, std::string_view key);

/// A member that is true.
bool is_true(const Json& object, std::string_view key);

/// One line. Bytes that are no UTF-8 are replaced.
std::string line_of(const Json& value);

} // namespace filterctl
