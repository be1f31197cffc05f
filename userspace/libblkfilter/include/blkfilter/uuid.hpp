// SPDX-License-Identifier: MIT
/// @file
/// The 16 bytes that name a consistency point or an owner.
#pragma once

#include <blkfilter/error.hpp>

#include <array>
#include <compare>
#include <cstddef>
#include <string>
#include <string_view>

namespace blkfilter {

/// 16 bytes; the default is all zero.
class Uuid {
public:
    static constexpr std::size_t length_bytes = 16;
    using Array = std::array<std::byte, length_bytes>;

    constexpr Uuid() = default;
    explicit constexpr Uuid(const Array& bytes) : bytes_{bytes} {}

    /// A random one (RFC 4122, version 4).
    static Uuid random();

    /// Reads 32 hexadecimal digits, bare or with the usual four dashes
    /// (8-4-4-4-12).  EINVAL for anything else.
    static Result<Uuid> parse(std::string_view text);

    [[nodiscard]] constexpr const Array& bytes() const { return bytes_; }
    [[nodiscard]] constexpr bool is_null() const { return *this == Uuid{}; }

    /// With dashes, in lower case.
    [[nodiscard]] std::string to_string() const;

    friend constexpr auto operator<=>(const Uuid&, const Uuid&) = default;

private:
    Array bytes_{};
};

/// Names a consistency point; all zero is refused by the kernel.
using PointId = Uuid;

/// Names whoever attached a filter; all zero for nobody.  The kernel keeps it and
/// does not interpret it.
using OwnerTag = Uuid;

} // namespace blkfilter
