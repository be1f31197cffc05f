// SPDX-License-Identifier: MIT
#include "output.hpp"
#include "samples.hpp"

#include <gtest/gtest.h>

namespace blkfilter::tool {

namespace {

using nlohmann::json;

template <class T>
json json_of_one(const T& value) {
    return json_of(std::span{&value, 1});
}

TEST(Json, every_list_has_a_version) {
    EXPECT_EQ(json_of(std::span<const DeviceInfo>{}), json::parse(R"({"version": 1, "devices": []})"));
}

TEST(Json, of_filters) {
    EXPECT_EQ(json_of_one(test::acme_info()), json::parse(R"({
        "version": 1,
        "filters": [{"name": "acme", "module": "acme_blk", "altitude": "450000.5",
                     "instances": 2, "needs_points": true, "zoned": false}]})"));
}

TEST(Json, of_devices) {
    EXPECT_EQ(json_of_one(test::vda1_info()), json::parse(R"({
        "version": 1,
        "devices": [{"name": "vda1", "number": "254:1", "diskseq": 10, "generation": 7,
                     "sectors": 2048, "filters": 1, "settling": true, "partition": true}]})"));
}

constexpr auto stack_text = R"({
    "device": {"name": "vda1", "number": "254:1", "diskseq": 10},
    "generation": 7,
    "filters": [{
        "name": "acme", "altitude": "450000.5", "state": "tracking",
        "options": "a=1", "options_hex": "613d31",
        "owner": "00000000000000000000000000000000",
        "instance": 3, "provisional": true, "from_first_bio": true,
        "statistics": {
            "read": {"bios": 1, "sectors": 10}, "write": {"bios": 2, "sectors": 20},
            "discard": {"bios": 3, "sectors": 30}, "zeroes": {"bios": 4, "sectors": 40},
            "flush": {"bios": 5, "sectors": 50}, "other": {"bios": 6, "sectors": 60},
            "taken": 7, "resumed": 0, "ended": 0, "own": 8}}]})";

TEST(Json, of_a_stack) {
    auto expected = json::parse(stack_text);
    expected["version"] = 1;
    EXPECT_EQ(json_of(test::vda1_stack()), expected);
}

TEST(Json, of_all_stacks) {
    const json expected{{"version", 1}, {"stacks", {json::parse(stack_text)}}};
    EXPECT_EQ(json_of_one(test::vda1_stack()), expected);
}

TEST(Json, options_that_are_no_text_are_only_hexadecimal) {
    auto named = test::vda1_stack();
    named.stack.entries[0].options = {std::byte{0}, std::byte{0xff}};
    const auto filter = json_of(named)["filters"][0];
    EXPECT_EQ(filter["options_hex"], "00ff");
    EXPECT_FALSE(filter.contains("options"));
}

TEST(Json, of_rules) {
    EXPECT_EQ(json_of_one(test::some_rule()), json::parse(R"({
        "version": 1,
        "rules": [{"id": 3, "filters": 2, "provisional_ms": 5000,
                   "match": {"kind": "partition", "name": "vd*", "major": 254}}]})"));
}

TEST(Json, of_a_point) {
    EXPECT_EQ(json_of(Point{
                  .id = {}, .closed = std::chrono::nanoseconds{5}, .frozen = std::chrono::nanoseconds{6}}),
              json::parse(R"({"version": 1, "id": "00000000-0000-0000-0000-000000000000",
                              "closed_ns": 5, "frozen_ns": 6})"));
}

TEST(Json, of_an_event) {
    auto event = json_of(test::attached_event(), "vda1");
    EXPECT_EQ(event["data_hex"], std::string(128, '0'));
    event.erase("data_hex");
    EXPECT_EQ(event, json::parse(R"({
        "version": 1, "type": "attached", "type_number": 6, "sequence": 17,
        "since_boot_ns": 12345678000, "value": 450000500000, "reason": "", "pid": 42,
        "process": "filterd", "name": "acme",
        "device": {"name": "vda1", "number": "254:1", "diskseq": 10}})"));
}

TEST(Json, an_event_without_a_device_has_no_such_member) {
    EXPECT_FALSE(json_of(Event{}, "").contains("device"));
}

} // namespace

} // namespace blkfilter::tool
