// SPDX-License-Identifier: MIT
#include <blkfilter/altitude.hpp>
#include <linux/blkfilter-control.h>

#include <cerrno>
#include <fmt/format.h>

namespace blkfilter {

static_assert(Altitude::millionths_per_unit == BLKFILTER_ALTITUDE_UNIT);
static_assert(Altitude::min_millionths == BLKFILTER_ALTITUDE_MIN);
static_assert(Altitude::max_millionths == BLKFILTER_ALTITUDE_MAX);

namespace {

constexpr std::size_t fraction_digits = 6;
constexpr std::string_view digits = "0123456789";

bool is_number(std::string_view text) {
    return !text.empty() && text.find_first_not_of(digits) == text.npos;
}

/// @p text is digits.  A number that is too large stays above the maximum, so
/// that any length of text has a defined result.
std::uint64_t read_saturating(std::string_view text) {
    std::uint64_t number = 0;
    for (char digit : text) {
        number = number * 10 + static_cast<std::uint64_t>(digit - '0');
        if (number > Altitude::max_millionths)
            return Altitude::max_millionths + 1;
    }
    return number;
}

std::unexpected<Error> bad(int code, std::string_view text, std::string_view why) {
    return std::unexpected(Error{.code = code, .message = fmt::format("altitude '{}': {}", text, why)});
}

} // namespace

Result<Altitude> Altitude::parse(std::string_view text) {
    const auto point = text.find('.');
    const auto whole = text.substr(0, point);
    const auto fraction = point == text.npos ? "0" : text.substr(point + 1);

    if (!is_number(whole) || !is_number(fraction))
        return bad(EINVAL, text, "not a number: write it as 450000 or 450000.5");
    if (fraction.size() > fraction_digits)
        return bad(EINVAL, text, "more than 6 digits after the point");

    std::string padded{fraction};
    padded.resize(fraction_digits, '0');
    const auto units = read_saturating(whole);
    const auto millionths = read_saturating(padded);
    if (units > max_millionths / millionths_per_unit || units + millionths == 0)
        return bad(ERANGE, text, "out of range: 0.000001 to 999999.999999");
    return Altitude{units * millionths_per_unit + millionths};
}

std::string Altitude::to_string() const {
    const auto units = millionths_ / millionths_per_unit;
    const auto fraction = millionths_ % millionths_per_unit;
    if (fraction == 0)
        return fmt::format("{}", units);
    auto text = fmt::format("{}.{:06}", units, fraction);
    text.erase(text.find_last_not_of('0') + 1);
    return text;
}

} // namespace blkfilter
