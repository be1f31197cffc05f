// SPDX-License-Identifier: MIT
#include "redirect/meter.hpp"

#include <gtest/gtest.h>

namespace filterd::redirects {

namespace {

using namespace std::chrono_literals;
using blkfilter::redirect::State;
using blkfilter::redirect::Status;
using Kind = Outlook::Kind;

constexpr std::uint64_t mib = 1 << 20;

/// Copies and dirties so much in each second.
struct Migration {
    std::uint64_t copies;
    std::uint64_t dirties;
    Status status{.state = State::running, .total_bytes = 1000 * mib, .remaining_bytes = 1000 * mib};
    Meter meter{};

    void run(int seconds) {
        for (int i = 0; i < seconds; ++i) {
            meter.look(status);
            status.time += 1s;
            status.copied_bytes += copies;
            status.dirtied_bytes += dirties;
            status.remaining_bytes -= std::min(status.remaining_bytes, copies);
            status.remaining_bytes = std::min(status.remaining_bytes + dirties, status.total_bytes);
        }
        meter.look(status);
    }

    [[nodiscard]] std::string text() const { return progress_text(status, meter.outlook()); }
};

TEST(RedirectMeter, says_when_it_will_be_over) {
    Migration migration{.copies = 10 * mib, .dirties = 2 * mib};
    migration.run(10);
    const auto outlook = migration.meter.outlook();
    EXPECT_EQ(outlook.kind, Kind::converges);
    EXPECT_EQ(outlook.bytes_per_second, 10 * mib);
    EXPECT_EQ(outlook.left, 115s) << "920 MiB that become 8 MiB less in a second";
    EXPECT_EQ(migration.text(), "80.0 MiB of 1000.0 MiB, 10.0 MiB/s, 1m 55s left");
    EXPECT_EQ(thousandths_of(migration.status), 80U);
}

TEST(RedirectMeter, says_nothing_before_it_knows) {
    Migration migration{.copies = 10 * mib, .dirties = 0};
    EXPECT_EQ(migration.meter.outlook().kind, Kind::unknown);
    migration.run(2);
    EXPECT_EQ(migration.meter.outlook().kind, Kind::unknown);
    EXPECT_EQ(migration.meter.outlook().left, std::nullopt);
    EXPECT_EQ(migration.text(), "20.0 MiB of 1000.0 MiB, 10.0 MiB/s");
    migration.run(1);
    EXPECT_EQ(migration.meter.outlook().kind, Kind::converges);
}

TEST(RedirectMeter, says_plainly_that_it_does_not_converge) {
    Migration migration{.copies = 10 * mib, .dirties = 10 * mib};
    migration.run(10);
    EXPECT_EQ(migration.meter.outlook().kind, Kind::diverges);
    EXPECT_EQ(migration.meter.outlook().left, std::nullopt);
    EXPECT_EQ(migration.text(), "0 B of 1000.0 MiB, 10.0 MiB/s, does not converge");
    // Faster than it is copied.
    migration.dirties = 12 * mib;
    migration.run(10);
    EXPECT_EQ(migration.meter.outlook().kind, Kind::diverges);
    // So little is gained that nobody should wait for it.
    migration = {.copies = 1000 * mib, .dirties = 1000 * mib - 4096};
    migration.run(10);
    EXPECT_EQ(migration.meter.outlook().kind, Kind::diverges);
}

TEST(RedirectMeter, forgets_what_was_long_ago) {
    Migration migration{.copies = 10 * mib, .dirties = 0};
    migration.run(20);
    migration.dirties = 10 * mib;
    migration.run(40);
    EXPECT_EQ(migration.meter.outlook().kind, Kind::diverges);
    migration.dirties = 0;
    migration.run(31);
    EXPECT_EQ(migration.meter.outlook().kind, Kind::converges);
    EXPECT_EQ(migration.meter.outlook().left, 49s);
}

TEST(RedirectMeter, a_target_that_takes_nothing_is_another_trouble) {
    Migration migration{.copies = 0, .dirties = 0};
    migration.run(10);
    EXPECT_EQ(migration.meter.outlook().kind, Kind::stalls);
    EXPECT_EQ(migration.text(), "0 B of 1000.0 MiB, 0 B/s, stalls");
}

TEST(RedirectMeter, a_pause_is_no_measure) {
    Migration migration{.copies = 10 * mib, .dirties = 0};
    migration.run(10);
    migration.status.state = State::paused;
    migration.run(1);
    EXPECT_EQ(migration.meter.outlook().kind, Kind::unknown);
    EXPECT_EQ(migration.text(), "paused");
}

TEST(RedirectMeter, in_sync_is_the_end) {
    Migration migration{.copies = 1000 * mib, .dirties = 0};
    migration.run(1);
    EXPECT_EQ(migration.meter.outlook().kind, Kind::in_sync);
    EXPECT_EQ(migration.text(), "1000.0 MiB of 1000.0 MiB, 1000.0 MiB/s, in sync");
    EXPECT_EQ(thousandths_of({.state = State::redirected}), 1000U);
    EXPECT_EQ(thousandths_of({.state = State::created}), 0U);
}

TEST(RedirectMeter, numbers_for_people) {
    EXPECT_EQ(bytes_text(1023), "1023 B");
    EXPECT_EQ(bytes_text(1536), "1.5 KiB");
    EXPECT_EQ(bytes_text(5ULL << 40), "5.0 TiB");
    EXPECT_EQ(bytes_text(5000ULL << 40), "5000.0 TiB");
    EXPECT_EQ(time_text(9s), "9s");
    EXPECT_EQ(time_text(200s), "3m 20s");
    EXPECT_EQ(time_text(7325s), "2h 02m");
}

} // namespace

} // namespace filterd::redirects
