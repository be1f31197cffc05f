// SPDX-License-Identifier: MIT
/// @file
/// Numbers as people write them.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace blkfilter::common {

/// What parse_bytes() takes, for messages.
inline constexpr std::string_view bytes_syntax =
    "a number of bytes, with B, KiB, MiB, GiB or TiB behind it or nothing";

/// All of @p text as a decimal number, without zeroes in front; nothing when it is something else, or too
/// large.
std::optional<std::uint64_t> parse_decimal(std::string_view text);

/// A number of bytes: "65536", or with a unit, "64KiB"; nothing when it is something else, or too large.
std::optional<std::uint64_t> parse_bytes(std::string_view text);

} // namespace blkfilter::common
