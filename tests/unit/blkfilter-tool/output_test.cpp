// SPDX-License-Identifier: MIT
#include "output.hpp"
#include "samples.hpp"

#include <gtest/gtest.h>

namespace blkfilter::tool {

namespace {

template <class T>
std::string table_of_one(const T& value) {
    return table_of(std::span{&value, 1});
}

TEST(Output, filters_are_a_table) {
    EXPECT_EQ(table_of_one(test::acme_info()), "FILTER ALTITUDE MODULE   INSTANCES FLAGS\n"
                                               "acme   450000.5 acme_blk         2 points\n");
}

TEST(Output, devices_are_a_table) {
    EXPECT_EQ(table_of_one(test::vda1_info()),
              "DEVICE MAJ:MIN DISKSEQ SECTORS FILTERS GENERATION FLAGS\n"
              "vda1   254:1        10    2048       1          7 partition,settling\n");
}

TEST(Output, stacks_are_a_table_with_statistics) {
    EXPECT_EQ(table_of_one(test::vda1_stack()),
              "DEVICE ALTITUDE FILTER STATE    READS WRITES DISCARDS FLUSHES TAKEN OWN FLAGS\n"
              "vda1   450000.5 acme   tracking     1      2        3       5     7   8 "
              "provisional,first-bio\n");
}

TEST(Output, statistics_are_bios_and_sectors_by_operation) {
    EXPECT_EQ(statistics_table_of(test::vda1_stack().stack),
              "FILTER READS WRITES DISCARDS ZEROES FLUSHES OTHERS READ-SECTORS WRITE-SECTORS "
              "DISCARD-SECTORS ZEROES-SECTORS FLUSH-SECTORS OTHER-SECTORS\n"
              "acme       1      2        3      4       5      6           10            20 "
              "             30             40            50            60\n");
}

TEST(Output, rules_are_a_table) {
    EXPECT_EQ(table_of_one(test::some_rule()), "ID MATCH                        FILTERS PROVISIONAL-MS\n"
                                               " 3 partition name=vd* major=254       2           5000\n");
}

TEST(Output, an_empty_table_is_nothing) {
    EXPECT_EQ(table_of(std::span<const FilterInfo>{}), "");
}

TEST(Output, a_point_is_a_line_in_milliseconds) {
    EXPECT_EQ(line_of(Point{.id = {},
                            .closed = std::chrono::nanoseconds{1'234'567},
                            .frozen = std::chrono::nanoseconds{20'000'000}}),
              "point 00000000-0000-0000-0000-000000000000 closed 1.235 ms frozen 20.000 ms");
}

TEST(Output, an_event_is_a_line) {
    EXPECT_EQ(line_of(test::attached_event(), "vda1"),
              "17 12.345678 attached vda1 acme altitude=450000.5 by filterd[42]");
}

TEST(Output, an_event_shows_only_what_it_has) {
    Event event;
    event.sequence = 1;
    event.type = EventType::lost;
    event.value = 12;
    EXPECT_EQ(line_of(event, ""), "1 0.000000 lost count=12");
    event.type = EventType::detached;
    event.reason = Reason::removed;
    event.name = "acme";
    EXPECT_EQ(line_of(event, "254:1"), "1 0.000000 detached 254:1 acme reason=removed");
    event.type = EventType::point;
    event.name = "";
    event.data[15] = std::byte{0xab};
    EXPECT_EQ(line_of(event, "vda1"), "1 0.000000 point vda1 id=00000000-0000-0000-0000-0000000000ab");
}

} // namespace

} // namespace blkfilter::tool
