// SPDX-License-Identifier: MIT
#include <blkfilter/uuid.hpp>

#include <cerrno>
#include <gtest/gtest.h>

namespace blkfilter {

namespace {

constexpr std::string_view with_dashes = "6f1c2a10-0003-4a5b-8c6d-0123456789ab";
constexpr std::string_view bare = "6f1c2a1000034a5b8c6d0123456789ab";

TEST(Uuid, is_read_with_and_without_dashes) {
    const auto uuid = Uuid::parse(with_dashes);
    ASSERT_TRUE(uuid);
    EXPECT_EQ(uuid->to_string(), with_dashes);
    EXPECT_EQ(Uuid::parse(bare), uuid);
    EXPECT_EQ(uuid->bytes().front(), std::byte{0x6f});
    EXPECT_EQ(uuid->bytes().back(), std::byte{0xab});
}

TEST(Uuid, refuses_other_lengths_and_other_places_of_dashes) {
    for (const char* text :
         {"", "6f1c", "6f1c2a1000034a5b8c6d0123456789abcd", "6f1c2a1-00003-4a5b-8c6d-0123456789ab",
          "6f1c2a10-0003-4a5b-8c6d00123456789ab", "6f1c2a10-0003-4a5b-8c6d-0123456789ag"}) {
        const auto uuid = Uuid::parse(text);
        ASSERT_FALSE(uuid) << text;
        EXPECT_EQ(uuid.error().code, EINVAL);
    }
    EXPECT_EQ(Uuid::parse("x").error().message,
              "id 'x': not 32 hexadecimal digits, bare or grouped 8-4-4-4-12 with dashes");
}

TEST(Uuid, a_random_one_is_of_version_4_and_never_the_same) {
    const auto uuid = Uuid::random();
    EXPECT_EQ(uuid.to_string()[14], '4');
    EXPECT_NE(std::string{"89ab"}.find(uuid.to_string()[19]), std::string::npos);
    EXPECT_NE(uuid, Uuid::random());
    EXPECT_FALSE(uuid.is_null());
    EXPECT_TRUE(Uuid{}.is_null());
}

} // namespace

} // namespace blkfilter
