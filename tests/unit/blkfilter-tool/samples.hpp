// SPDX-License-Identifier: MIT
/// @file
/// Values whose output the tests know.
#pragma once

#include "output.hpp"

#include <cstddef>
#include <vector>

namespace blkfilter::tool::test {

inline FilterInfo acme_info() {
    return {.name = "acme",
            .module = "acme_blk",
            .default_altitude = Altitude{450'000'500'000},
            .instances = 2,
            .needs_points = true,
            .zoned = false};
}

inline DeviceInfo vda1_info() {
    return {.device = {254, 1, 10},
            .name = "vda1",
            .generation = 7,
            .size_sectors = 2048,
            .filters = 1,
            .settling = true,
            .partition = true};
}

inline NamedStack vda1_stack() {
    StackEntry entry{.name = "acme",
                     .altitude = Altitude{450'000'500'000},
                     .options = to_bytes("a=1"),
                     .owner = {},
                     .instance = 3,
                     .state = "tracking",
                     .provisional = true,
                     .from_first_bio = true,
                     .statistics = {}};
    entry.statistics.bios = {1, 2, 3, 4, 5, 6};
    entry.statistics.sectors = {10, 20, 30, 40, 50, 60};
    entry.statistics.taken = 7;
    entry.statistics.own = 8;
    return {"vda1", {.device = {254, 1, 10}, .generation = 7, .entries = {entry}}};
}

inline Rule some_rule() {
    Rule rule{.id = 3, .keys = {}, .entries = 2, .provisional = std::chrono::seconds{5}};
    rule.keys.kind = RuleKeys::Kind::partition;
    rule.keys.name = "vd*";
    rule.keys.major = 254;
    return rule;
}

inline Event attached_event() {
    Event event;
    event.type = EventType::attached;
    event.sequence = 17;
    event.since_boot = std::chrono::microseconds{12'345'678};
    event.device = DeviceId{254, 1, 10};
    event.value = 450'000'500'000;
    event.pid = 42;
    event.process = "filterd";
    event.name = "acme";
    return event;
}

} // namespace blkfilter::tool::test
