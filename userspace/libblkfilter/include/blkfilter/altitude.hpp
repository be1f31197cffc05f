// SPDX-License-Identifier: MIT
/// @file
/// A filter's place in a device's stack.
#pragma once

#include <blkfilter/error.hpp>

#include <compare>
#include <cstdint>
#include <string>
#include <string_view>

namespace blkfilter {

/// A decimal number from 0.000001 to 999999.999999, exact: it is held as a whole
/// number of millionths.  The filter with the higher altitude sees a bio earlier.
class Altitude {
public:
    static constexpr std::uint64_t millionths_per_unit = 1'000'000;
    static constexpr std::uint64_t min_millionths = 1;
    static constexpr std::uint64_t max_millionths = 999'999'999'999;

    /// For constants and for what the kernel says: @p millionths is not checked.
    explicit constexpr Altitude(std::uint64_t millionths) : millionths_{millionths} {}

    /// Reads "450000" or "450000.5": digits, and after a point one to six more.
    /// Errors: EINVAL for anything else, ERANGE for a number out of range.
    static Result<Altitude> parse(std::string_view text);

    [[nodiscard]] constexpr std::uint64_t millionths() const { return millionths_; }

    /// The shortest text that parse() reads as the same altitude.
    [[nodiscard]] std::string to_string() const;

    friend constexpr auto operator<=>(const Altitude&, const Altitude&) = default;

private:
    std::uint64_t millionths_;
};

} // namespace blkfilter
