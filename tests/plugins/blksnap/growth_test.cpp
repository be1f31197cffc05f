// SPDX-License-Identifier: MIT
#include "blksnap/growth.hpp"

#include <gtest/gtest.h>

namespace filterd::snapshots {

namespace {

using std::chrono::seconds;

constexpr std::uint64_t mib = mebibyte;

Policy policy() {
    return {.path = "/storage", .limit_bytes = 1000 * mib, .step_bytes = 100 * mib, .warn_thousandths = 800};
}

/// Some time.
const Meter::Clock::time_point start{seconds{1000}};

TEST(BlksnapGrowth, appends_a_step_when_half_of_one_is_left) {
    Meter meter{policy()};
    EXPECT_EQ(meter.look(start, {.storage_bytes = 100 * mib, .used_bytes = 0}, 0).append_bytes, 0U);
    EXPECT_EQ(
        meter.look(start + seconds{60}, {.storage_bytes = 100 * mib, .used_bytes = 51 * mib}, 0).append_bytes,
        100 * mib);
}

TEST(BlksnapGrowth, appends_more_when_it_fills_quickly) {
    Meter meter{policy()};
    meter.look(start, {.storage_bytes = 500 * mib, .used_bytes = 0}, 0);
    // 20 MiB a second for so long that it counts as the rate.
    Growth growth;
    std::uint64_t used = 0;
    for (int second = 1; second <= 100; ++second) {
        used += 20 * mib;
        growth =
            meter.look(start + seconds{second}, {.storage_bytes = used + (500 * mib), .used_bytes = used}, 0);
        EXPECT_EQ(growth.append_bytes, 0U);
    }
    EXPECT_NEAR(meter.rate(), 20.0 * mib, 0.2 * mib);
    // Room for ten seconds, which is more than a step.
    used = 100 * mib;
    growth = meter.look(start + seconds{101}, {.storage_bytes = used + (150 * mib), .used_bytes = used}, 0);
    EXPECT_NEAR(static_cast<double>(growth.append_bytes), 190.0 * mib, 10.0 * mib);
}

TEST(BlksnapGrowth, stops_at_the_limit_which_others_share) {
    Meter meter{policy()};
    auto growth = meter.look(start, {.storage_bytes = 500 * mib, .used_bytes = 490 * mib}, 450 * mib);
    EXPECT_EQ(growth.append_bytes, 50 * mib);
    EXPECT_FALSE(growth.at_limit);
    growth = meter.look(start + seconds{1}, {.storage_bytes = 550 * mib, .used_bytes = 510 * mib}, 450 * mib);
    EXPECT_EQ(growth.append_bytes, 0U);
    EXPECT_TRUE(growth.at_limit);
    // Once.
    growth = meter.look(start + seconds{2}, {.storage_bytes = 550 * mib, .used_bytes = 520 * mib}, 450 * mib);
    EXPECT_FALSE(growth.at_limit);
    EXPECT_EQ(growth.append_bytes, 0U);
}

TEST(BlksnapGrowth, warns_once_in_time) {
    Meter meter{policy()};
    EXPECT_FALSE(meter.look(start, {.storage_bytes = 1000 * mib, .used_bytes = 799 * mib}, 0).warns);
    EXPECT_TRUE(
        meter.look(start + seconds{1}, {.storage_bytes = 1000 * mib, .used_bytes = 800 * mib}, 0).warns);
    EXPECT_FALSE(
        meter.look(start + seconds{2}, {.storage_bytes = 1000 * mib, .used_bytes = 900 * mib}, 0).warns);
}

TEST(BlksnapGrowth, pauses_after_a_failure) {
    Meter meter{policy()};
    const Usage usage{.storage_bytes = 100 * mib, .used_bytes = 90 * mib};
    EXPECT_NE(meter.look(start, usage, 0).append_bytes, 0U);
    meter.failed(start);
    EXPECT_EQ(meter.look(start + seconds{1}, usage, 0).append_bytes, 0U);
    EXPECT_NE(meter.look(start + seconds{6}, usage, 0).append_bytes, 0U);
}

TEST(BlksnapGrowth, gives_all_that_the_kernel_asks_for) {
    Meter meter{policy()};
    // Half of what it wants is left: with less than all of it, it would not ask again.
    const Usage usage{.storage_bytes = 320 * mib, .used_bytes = 70 * mib};
    EXPECT_EQ(meter.look(start, usage, 0).append_bytes, 0U);
    EXPECT_EQ(meter.look(start + seconds{1}, usage, 0, 500 * mib).append_bytes, 500 * mib);
    EXPECT_EQ(
        meter.look(start + seconds{2}, {.storage_bytes = 820 * mib, .used_bytes = 80 * mib}, 0).append_bytes,
        0U);
    // Also when it is found before the kernel says so; within the limit.
    EXPECT_EQ(meter.look(start + seconds{60}, {.storage_bytes = 820 * mib, .used_bytes = 580 * mib}, 0)
                  .append_bytes,
              180 * mib);
}

TEST(BlksnapGrowth, what_the_kernel_asks_for_at_the_beginning_may_be_there_already) {
    Meter meter{policy()};
    EXPECT_EQ(meter.look(start, {.storage_bytes = 100 * mib, .used_bytes = 0}, 0, 100 * mib).append_bytes,
              0U);
}

TEST(BlksnapGrowth, a_device_does_not_grow_and_is_warned_of_when_it_is_nearly_full) {
    auto device = policy();
    device.is_device = true;
    device.limit_bytes = 0;
    Meter meter{device};
    auto growth = meter.look(start, {.storage_bytes = 100 * mib, .used_bytes = 0}, 0);
    EXPECT_FALSE(growth.warns);
    growth = meter.look(start + seconds{1}, {.storage_bytes = 100 * mib, .used_bytes = 79 * mib}, 0);
    EXPECT_FALSE(growth.warns);
    growth = meter.look(start + seconds{2}, {.storage_bytes = 100 * mib, .used_bytes = 81 * mib}, 0);
    EXPECT_TRUE(growth.warns);
    EXPECT_EQ(growth.append_bytes, 0U);
    EXPECT_FALSE(growth.at_limit);
    EXPECT_NE(meter.until_full({.storage_bytes = 100 * mib, .used_bytes = 81 * mib}, 0), std::nullopt);
}

TEST(BlksnapGrowth, estimates_when_it_is_full) {
    Meter meter{policy()};
    meter.look(start, {.storage_bytes = 1000 * mib, .used_bytes = 0}, 0);
    EXPECT_EQ(meter.until_full({.storage_bytes = 1000 * mib, .used_bytes = 0}, 0), std::nullopt);
    std::uint64_t used = 0;
    for (int second = 1; second <= 200; ++second)
        meter.look(start + seconds{second}, {.storage_bytes = 1000 * mib, .used_bytes = used += mib}, 0);
    const auto left = meter.until_full({.storage_bytes = 300 * mib, .used_bytes = used}, 0);
    ASSERT_TRUE(left);
    EXPECT_NEAR(static_cast<double>(left->count()), 800, 5);
}

} // namespace

} // namespace filterd::snapshots
