// SPDX-License-Identifier: MIT
#include <blkfilter/bytes.hpp>

#include <cerrno>
#include <gtest/gtest.h>

namespace blkfilter {

namespace {

TEST(Bytes, hexadecimal_goes_there_and_back) {
    const auto bytes = from_hex("00fF10");
    ASSERT_TRUE(bytes);
    EXPECT_EQ(*bytes, (Bytes{std::byte{0}, std::byte{255}, std::byte{16}}));
    EXPECT_EQ(to_hex(*bytes), "00ff10");
    EXPECT_EQ(from_hex("").value(), Bytes{});
}

TEST(Bytes, wrong_hexadecimal_is_explained) {
    const auto odd = from_hex("abc");
    ASSERT_FALSE(odd);
    EXPECT_EQ(odd.error().code, EINVAL);
    EXPECT_EQ(odd.error().message, "hexadecimal 'abc': an odd number of digits");
    const auto foreign = from_hex("0x10");
    ASSERT_FALSE(foreign);
    EXPECT_EQ(foreign.error().message, "hexadecimal '0x10': something else than 0-9 and a-f");
}

TEST(Bytes, text_keeps_its_bytes) {
    EXPECT_EQ(to_hex(to_bytes("a=1")), "613d31");
}

} // namespace

} // namespace blkfilter
