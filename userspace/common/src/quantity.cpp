// SPDX-License-Identifier: MIT
#include <blkfilter-common/quantity.hpp>

#include <algorithm>
#include <array>
#include <charconv>
#include <limits>
#include <memory>

namespace blkfilter::common {

namespace {

std::optional<unsigned> shift_of_unit(std::string_view unit) {
    constexpr std::array<std::string_view, 5> units{"B", "KiB", "MiB", "GiB", "TiB"};
    constexpr unsigned bits_a_unit = 10;
    if (unit.empty())
        return 0;
    const auto found = std::ranges::find(units, unit);
    if (found == units.end())
        return {};
    return static_cast<unsigned>(found - units.begin()) * bits_a_unit;
}

} // namespace

std::optional<std::uint64_t> parse_decimal(std::string_view text) {
    std::uint64_t value{};
    const auto* end = std::to_address(text.end());
    const auto result = std::from_chars(std::to_address(text.begin()), end, value);
    const bool zero_in_front = text.size() > 1 && text.front() == '0';
    return result.ec == std::errc{} && result.ptr == end && !zero_in_front ? std::optional{value}
                                                                           : std::nullopt;
}

std::optional<std::uint64_t> parse_bytes(std::string_view text) {
    const auto digits = std::min(text.find_first_not_of("0123456789"), text.size());
    const auto number = parse_decimal(text.substr(0, digits));
    const auto shift = shift_of_unit(text.substr(digits));
    if (!number || !shift || *number > std::numeric_limits<std::uint64_t>::max() >> *shift)
        return {};
    return *number << *shift;
}

} // namespace blkfilter::common
