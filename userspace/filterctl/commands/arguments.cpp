// SPDX-License-Identifier: MIT
#include "commands/arguments.hpp"

#include <blkfilter-common/quantity.hpp>
#include <blkfilter/altitude.hpp>

#include <charconv>
#include <fmt/format.h>
#include <memory>
#include <system_error>

namespace filterctl {

namespace {

std::string complaint(const std::string& text, std::string_view wanted) {
    return fmt::format("must be {}, not '{}'", wanted, text);
}

} // namespace

std::optional<std::uint64_t> parse_seconds(std::string_view text) {
    constexpr std::uint64_t minute = 60;
    constexpr std::uint64_t hour = 60 * minute;
    constexpr std::uint64_t most = hour * 24 * 7;
    std::uint64_t unit = 1;
    if (text.ends_with('m'))
        unit = minute;
    else if (text.ends_with('h'))
        unit = hour;
    if (unit != 1 || text.ends_with('s'))
        text.remove_suffix(1);
    const auto count = blkfilter::common::parse_decimal(text);
    if (!count || *count == 0 || *count > most / unit)
        return {};
    return *count * unit;
}

std::string seconds_complaint(const std::string& text) {
    return parse_seconds(text) ? "" : complaint(text, "a time up to a week, such as 60s, 5m or 1h");
}

std::string timeout_complaint(const std::string& text) {
    double seconds{};
    const auto* end = std::to_address(text.end());
    const auto [rest, error] = std::from_chars(text.data(), end, seconds);
    const bool good = error == std::errc{} && rest == end && seconds >= 0;
    return good ? "" : complaint(text, "a number of seconds, such as 5 or 0.5");
}

std::string number_complaint(const std::string& text) {
    return blkfilter::common::parse_decimal(text) ? "" : complaint(text, "a decimal number");
}

std::string count_complaint(const std::string& text) {
    return blkfilter::common::parse_decimal(text).value_or(0) != 0 ? ""
                                                                   : complaint(text, "a number from 1 on");
}

std::string bytes_complaint(const std::string& text) {
    return blkfilter::common::parse_bytes(text) ? "" : complaint(text, blkfilter::common::bytes_syntax);
}

std::string altitude_complaint(const std::string& text) {
    return blkfilter::Altitude::parse(text) ? "" : complaint(text, "a number from 0.000001 to 999999.999999");
}

} // namespace filterctl
