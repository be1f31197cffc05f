// SPDX-License-Identifier: MIT
#include <blkfilter/altitude.hpp>

#include <cerrno>
#include <gtest/gtest.h>

namespace blkfilter {

namespace {

std::uint64_t millionths_of(std::string_view text) {
    const auto altitude = Altitude::parse(text);
    return altitude ? altitude->millionths() : 0;
}

std::string message_of(std::string_view text) {
    const auto altitude = Altitude::parse(text);
    return altitude ? "no error" : altitude.error().message;
}

TEST(Altitude, is_read_exactly) {
    EXPECT_EQ(millionths_of("450000"), 450'000'000'000U);
    EXPECT_EQ(millionths_of("450000.5"), 450'000'500'000U);
    EXPECT_EQ(millionths_of("0.1"), 100'000U);
    EXPECT_EQ(millionths_of("0.100000"), 100'000U);
    EXPECT_EQ(millionths_of("00450000.50"), 450'000'500'000U);
}

TEST(Altitude, has_an_exact_range) {
    EXPECT_EQ(millionths_of("0.000001"), Altitude::min_millionths);
    EXPECT_EQ(millionths_of("999999.999999"), Altitude::max_millionths);
    for (const char* text : {"0", "0.0", "000.000000", "1000000", "1000000.0", "18446744073709551617",
                             "99999999999999999999999999999999"}) {
        const auto altitude = Altitude::parse(text);
        ASSERT_FALSE(altitude) << text;
        EXPECT_EQ(altitude.error().code, ERANGE) << text;
    }
}

TEST(Altitude, refuses_what_is_no_number) {
    for (const char* text : {"", ".", "5.", ".5", "-1", "+1", " 1", "1 ", "1e5", "1,5", "1.2.3", "0x10",
                             "high", "1.5a", "\xd9\xa1"}) {
        const auto altitude = Altitude::parse(text);
        ASSERT_FALSE(altitude) << text;
        EXPECT_EQ(altitude.error().code, EINVAL) << text;
    }
}

TEST(Altitude, refuses_a_seventh_digit_even_if_zero) {
    EXPECT_EQ(message_of("1.0000000"), "altitude '1.0000000': more than 6 digits after the point");
}

TEST(Altitude, errors_quote_the_text_and_say_what_is_right) {
    EXPECT_EQ(message_of("high"), "altitude 'high': not a number: write it as 450000 or 450000.5");
    EXPECT_EQ(message_of("0"), "altitude '0': out of range: 0.000001 to 999999.999999");
}

TEST(Altitude, is_written_in_its_shortest_form) {
    for (const char* text : {"450000", "450000.5", "0.000001", "999999.999999", "10", "0.1", "1.01"}) {
        EXPECT_EQ(Altitude{millionths_of(text)}.to_string(), text);
    }
}

TEST(Altitude, compares_as_a_number) {
    EXPECT_LT(Altitude::parse("9.9").value(), Altitude::parse("10").value());
    EXPECT_EQ(Altitude::parse("1.50").value(), Altitude::parse("1.5").value());
}

} // namespace

} // namespace blkfilter
