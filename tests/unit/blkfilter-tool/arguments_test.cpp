// SPDX-License-Identifier: MIT
#include "arguments.hpp"
#include "exit_code.hpp"

#include <cerrno>
#include <gtest/gtest.h>

namespace blkfilter::tool {

namespace {

std::string message_of(std::string_view text) {
    const auto entry = parse_entry(text);
    return entry ? "no error" : entry.error().message;
}

TEST(Entry, a_name_is_enough) {
    const auto entry = parse_entry("cbt-only");
    ASSERT_TRUE(entry);
    EXPECT_EQ(entry->name, "cbt-only");
    EXPECT_FALSE(entry->altitude);
    EXPECT_TRUE(entry->options.empty());
    EXPECT_TRUE(entry->replaces.empty());
    EXPECT_TRUE(entry->owner.is_null());
}

TEST(Entry, has_altitude_options_predecessor_and_owner) {
    const auto entry = parse_entry("acme@450000.5,options=a=1,replaces=old_1,"
                                   "owner=000102030405060708090a0b0c0d0e0f");
    ASSERT_TRUE(entry);
    EXPECT_EQ(entry->name, "acme");
    EXPECT_EQ(entry->altitude->to_string(), "450000.5");
    EXPECT_EQ(entry->options, to_bytes("a=1"));
    EXPECT_EQ(entry->replaces, "old_1");
    EXPECT_EQ(to_hex(entry->owner.bytes()), "000102030405060708090a0b0c0d0e0f");
}

TEST(Entry, a_backslash_keeps_a_comma_in_the_options) {
    EXPECT_EQ(parse_entry(R"(acme,options=a\,b\\c,replaces=old)")->options, to_bytes(R"(a,b\c)"));
    EXPECT_EQ(parse_entry(R"(acme,options=a\)")->options, to_bytes(R"(a\)"));
}

TEST(Entry, options_can_be_bytes) {
    EXPECT_EQ(parse_entry("acme,options-hex=00ff")->options, (Bytes{std::byte{0}, std::byte{0xff}}));
}

TEST(Entry, errors_quote_the_entry_and_say_what_is_wrong) {
    EXPECT_EQ(message_of(""), "entry '': a filter's name consists of a-z, 0-9, '-', '_'");
    EXPECT_EQ(message_of("Acme"), "entry 'Acme': a filter's name consists of a-z, 0-9, '-', '_'");
    EXPECT_EQ(message_of("@5"), "entry '@5': a filter's name consists of a-z, 0-9, '-', '_'");
    EXPECT_EQ(message_of("acme@0"), "entry 'acme@0': altitude '0': out of range: 0.000001 to 999999.999999");
    EXPECT_EQ(message_of("acme@"),
              "entry 'acme@': altitude '': not a number: write it as 450000 or 450000.5");
    EXPECT_EQ(message_of("acme,fast"), "entry 'acme,fast': 'fast' is not KEY=VALUE");
    EXPECT_EQ(message_of("acme,speed=1"),
              "entry 'acme,speed=1': unknown key 'speed': options, options-hex, replaces or owner");
    EXPECT_EQ(message_of("acme,options=a,options-hex=00"),
              "entry 'acme,options=a,options-hex=00': options are given twice");
    EXPECT_EQ(message_of("acme,replaces="), "entry 'acme,replaces=': '' is no filter's name");
    EXPECT_EQ(message_of("acme,options-hex=0"),
              "entry 'acme,options-hex=0': hexadecimal '0': an odd number of digits");
    EXPECT_EQ(message_of("acme,owner=me"),
              "entry 'acme,owner=me': id 'me': not 32 hexadecimal digits, bare or grouped "
              "8-4-4-4-12 with dashes");
}

TEST(Entry, the_first_wrong_one_of_several_counts) {
    EXPECT_EQ(parse_entries(std::vector<std::string>{"a", "b@1"})->size(), 2U);
    EXPECT_EQ(parse_entries(std::vector<std::string>{"a", "B", "c@0"}).error().message,
              "entry 'B': a filter's name consists of a-z, 0-9, '-', '_'");
}

TEST(Device, a_name_is_looked_for_in_dev_and_a_path_is_taken_as_it_is) {
    EXPECT_EQ(find_device("no-such-device").error().message,
              "/dev/no-such-device: No such file or directory");
    EXPECT_EQ(find_device("./no-such-device").error().message, "./no-such-device: No such file or directory");
}

TEST(Ranges, are_two_numbers_and_nothing_else) {
    const std::vector<std::string> good{"0+8", "18446744073709551615+1"};
    const auto ranges = parse_ranges(good);
    ASSERT_TRUE(ranges);
    EXPECT_EQ((*ranges)[0], (cbt::Range{.sector = 0, .sectors = 8}));
    EXPECT_EQ((*ranges)[1], (cbt::Range{.sector = 18446744073709551615U, .sectors = 1}));
    for (const std::string wrong :
         {"", "8", "+", "8+", "+8", "8+8x", "-8+8", "8+ 8", "8+-8", "18446744073709551616+1"}) {
        const auto none = parse_ranges(std::vector{good[0], wrong});
        ASSERT_FALSE(none) << wrong;
        EXPECT_EQ(none.error().code, EINVAL);
        EXPECT_EQ(none.error().message, "'" + wrong + "' is not SECTOR+SECTORS");
    }
}

TEST(ExitCode, tells_the_kinds_of_failure_apart) {
    EXPECT_EQ(exit_code_of(ENOENT), ExitCode::no_such_thing);
    EXPECT_EQ(exit_code_of(ENODEV), ExitCode::no_such_thing);
    EXPECT_EQ(exit_code_of(EBUSY), ExitCode::refused);
    EXPECT_EQ(exit_code_of(ETIMEDOUT), ExitCode::timeout);
    EXPECT_EQ(exit_code_of(EIO), ExitCode::failed);
}

} // namespace

} // namespace blkfilter::tool
