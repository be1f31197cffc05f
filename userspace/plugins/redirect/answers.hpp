// SPDX-License-Identifier: MIT
/// @file
/// What the plugin's commands answer with.
#pragma once

#include "migrations.hpp"

#include <cstddef>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <span>

namespace filterd::redirects {

/// Keeps the order of members, which is that of a table's columns.
using Json = nlohmann::ordered_json;

Json line_of(const View& view, const Roots& roots);

/// All there is to say, with what a restart needs.
Json details_of(const View& view, const Roots& roots);

/// What an event means.
Json change_of(std::uint64_t value, std::span<const std::byte> data);

} // namespace filterd::redirects
