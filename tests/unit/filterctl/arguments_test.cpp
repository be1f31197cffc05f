// SPDX-License-Identifier: MIT
#include "commands/arguments.hpp"

#include <blkfilter-common/quantity.hpp>
#include <gtest/gtest.h>

namespace filterctl {

namespace {

using blkfilter::common::parse_bytes;
using blkfilter::common::parse_decimal;

TEST(Quantity, a_decimal_number_has_no_zero_in_front) {
    EXPECT_EQ(parse_decimal("0"), 0U);
    EXPECT_EQ(parse_decimal("18446744073709551615"), 18446744073709551615U);
    for (const auto* text :
         {"", "18446744073709551616", "01", "00", "-1", "+1", " 1", "1 ", "1x", "0x1", "1.0"})
        EXPECT_FALSE(parse_decimal(text)) << text;
}

TEST(Quantity, bytes_may_have_a_unit) {
    EXPECT_EQ(parse_bytes("65536"), 65536U);
    EXPECT_EQ(parse_bytes("5B"), 5U);
    EXPECT_EQ(parse_bytes("64KiB"), 65536U);
    EXPECT_EQ(parse_bytes("3MiB"), 3U << 20);
    EXPECT_EQ(parse_bytes("16777215TiB"), 16777215ULL << 40);
    for (const auto* text :
         {"", "KiB", "64K", "64 KiB", "64kib", "64KB", "1.5MiB", "-1B", "16777216TiB", "01KiB"})
        EXPECT_FALSE(parse_bytes(text)) << text;
}

TEST(Seconds, have_units_up_to_hours) {
    EXPECT_EQ(parse_seconds("60"), 60U);
    EXPECT_EQ(parse_seconds("60s"), 60U);
    EXPECT_EQ(parse_seconds("5m"), 300U);
    EXPECT_EQ(parse_seconds("168h"), 604800U);
    for (const auto* text :
         {"", "s", "0", "0s", "169h", "604801", "1d", "60ss", "-1", "1.5m", "18446744073709551615h"})
        EXPECT_FALSE(parse_seconds(text)) << text;
}

TEST(Complaints, say_what_is_wanted) {
    EXPECT_EQ(seconds_complaint("60s"), "");
    EXPECT_EQ(seconds_complaint("x"), "must be a time up to a week, such as 60s, 5m or 1h, not 'x'");
    for (const auto* text : {"0", "5", "0.5", "1000000000"})
        EXPECT_EQ(timeout_complaint(text), "");
    for (const std::string text : {"", "x", "5s", "-1", "nan"})
        EXPECT_EQ(timeout_complaint(text),
                  "must be a number of seconds, such as 5 or 0.5, not '" + text + "'");
    EXPECT_EQ(count_complaint("1"), "");
    EXPECT_EQ(count_complaint("0"), "must be a number from 1 on, not '0'");
    EXPECT_EQ(number_complaint("7"), "");
    EXPECT_EQ(number_complaint("7x"), "must be a decimal number, not '7x'");
    EXPECT_EQ(bytes_complaint("7KiB"), "");
    EXPECT_EQ(bytes_complaint("7K"),
              "must be a number of bytes, with B, KiB, MiB, GiB or TiB behind it or nothing, not '7K'");
    EXPECT_EQ(altitude_complaint("460000.5"), "");
    EXPECT_EQ(altitude_complaint("0"), "must be a number from 0.000001 to 999999.999999, not '0'");
}

} // namespace

} // namespace filterctl
