// SPDX-License-Identifier: MIT
/// @file
/// Bytes that only a filter understands, and their hexadecimal form.
#pragma once

#include <blkfilter/error.hpp>

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace blkfilter {

using Bytes = std::vector<std::byte>;

/// The bytes of @p text, without a NUL.
Bytes to_bytes(std::string_view text);

/// Two lower case hexadecimal digits for each byte.
std::string to_hex(std::span<const std::byte> bytes);

/// The reverse of to_hex(); takes upper case too.  EINVAL: an odd number of
/// digits, or something else than digits.
Result<Bytes> from_hex(std::string_view text);

} // namespace blkfilter
