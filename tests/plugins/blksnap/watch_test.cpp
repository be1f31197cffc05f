// SPDX-License-Identifier: MIT
#include "snapshots_fixture.hpp"

namespace filterd::snapshots {

namespace {

namespace fs = std::filesystem;

constexpr std::uint64_t mib = mebibyte;

TEST_F(BlksnapSnapshots, grows_until_the_limit_and_says_so) {
    create(request());
    kernel.use(mib + 4096);
    EXPECT_TRUE(comes([&] { return kernel.only_one().storage_bytes == 4 * mib; }));
    kernel.use(7 * mib);
    EXPECT_TRUE(comes([&] { return kernel.only_one().storage_bytes == 8 * mib; }));
    EXPECT_TRUE(comes([&] { return was_said("cannot grow beyond 8 MiB, the limit of"); }));
    EXPECT_TRUE(was_said("80% of what"));
    snapshots->extend("one", mib);
    EXPECT_EQ(kernel.only_one().storage_bytes, 9 * mib);
}

TEST_F(BlksnapSnapshots, snapshots_share_a_limit) {
    auto large = request();
    large.policy.step_bytes = 7 * mib;
    const auto one = create(large);
    large.label = "two";
    large.devices = {{.id = {8, 32, 3}, .name = "sdc", .declared = "sdc"}};
    // At once, before anybody has looked how the first one is.
    create(large);
    EXPECT_EQ(snapshots->find("one").statistics.storage_sectors, 7 * mib / 512);
    EXPECT_EQ(snapshots->find("two").statistics.storage_sectors, mib / 512);
    large.label = "three";
    large.devices = {{.id = {8, 48, 4}, .name = "sdd", .declared = "sdd"}};
    EXPECT_EQ(code_of([&] { create(large); }), ENOSPC);
    snapshots->destroy("one", false);
    create(large);
    EXPECT_EQ(snapshots->find("three").statistics.storage_sectors, 7 * mib / 512);
}

TEST_F(BlksnapSnapshots, notices_when_somebody_else_destroys_it) {
    create(request());
    {
        const std::scoped_lock lock{kernel.mutex};
        kernel.snapshots.clear();
    }
    EXPECT_TRUE(comes([&] { return was_said("snapshot one has ended"); }));
    EXPECT_TRUE(comes([&] { return nothing_is_left(); }));
    EXPECT_TRUE(snapshots->list().empty());
}

TEST_F(BlksnapSnapshots, what_nobody_can_tell_is_no_end) {
    create(request());
    {
        const std::scoped_lock lock{kernel.mutex};
        kernel.statistics_error = -EIO;
    }
    EXPECT_TRUE(comes([&] { return was_said("snapshot one: nobody says how it is"); }));
    EXPECT_FALSE(nothing_is_left());
    {
        const std::scoped_lock lock{kernel.mutex};
        kernel.statistics_error = 0;
    }
    EXPECT_EQ(snapshots->find("one").record.label, "one");
    kernel.use(mib + 4096);
    EXPECT_TRUE(comes([&] { return kernel.only_one().storage_bytes == 4 * mib; }));
}

// --- after a kill ---

TEST_F(BlksnapSnapshots, survives_filterd) {
    create(request());
    snapshots.reset();
    kernel.use(mib + 4096);
    begin_again();
    EXPECT_EQ(snapshots->find("one").record.group, "database");
    EXPECT_TRUE(comes([&] { return kernel.only_one().storage_bytes == 4 * mib; }));
    snapshots->destroy("one", false);
    EXPECT_TRUE(nothing_is_left());
}

TEST_F(BlksnapSnapshots, what_was_half_made_is_ended) {
    // As after a kill between the hook before and the instant.
    auto created = create(request());
    snapshots.reset();
    hooks.clear();
    {
        const std::scoped_lock lock{kernel.mutex};
        kernel.snapshots.begin()->second.taken = false;
    }
    created.record.taken = false;
    created.record.hooks.after_is_due = true;
    Records{folder / "state/snapshots", "this boot"}.write(created.record);
    begin_again();
    EXPECT_TRUE(kernel.snapshots.empty());
    EXPECT_TRUE(nothing_is_left());
    EXPECT_EQ(hooks, std::vector<std::string>{"go failed"});
}

TEST_F(BlksnapSnapshots, the_hook_after_comes_late_rather_than_never) {
    // As after a kill between the instant and the hook after.
    auto created = create(request());
    snapshots.reset();
    hooks.clear();
    created.record.taken = false;
    created.record.hooks.after_is_due = true;
    Records{folder / "state/snapshots", "this boot"}.write(created.record);
    begin_again();
    EXPECT_EQ(hooks, std::vector<std::string>{"go taken"});
    EXPECT_TRUE(snapshots->find("one").record.taken);
}

TEST_F(BlksnapSnapshots, what_nobody_can_tell_after_a_kill_stays_on_record) {
    auto created = create(request());
    snapshots.reset();
    kernel.statistics_error = -EINTR;
    begin_again();
    EXPECT_FALSE(nothing_is_left());
    {
        const std::scoped_lock lock{kernel.mutex};
        kernel.statistics_error = 0;
    }
    EXPECT_EQ(snapshots->find("one").record.group, "database");
    snapshots.reset();
    // Of one that may be half made nobody knows what to do: later.
    created.record.taken = false;
    Records{folder / "state/snapshots", "this boot"}.write(created.record);
    kernel.statistics_error = -EINTR;
    begin_again();
    EXPECT_FALSE(nothing_is_left());
    kernel.statistics_error = 0;
    begin_again();
    EXPECT_TRUE(snapshots->find("one").record.taken);
}

/// As after a kill between the kernel's answer and the record.
TEST_F(BlksnapSnapshots, one_that_was_just_begun_is_ended) {
    const auto announce = [&](const char* known) {
        blkfilter::test::write_file(folder / "state/snapshots/announcement",
                                    std::string{R"({"boot": "this boot", "known": [)"} + known + "]}");
    };
    announce("");
    kernel.snapshots[{7}] = {};
    begin_again();
    EXPECT_TRUE(kernel.snapshots.empty());
    EXPECT_TRUE(nothing_is_left());
    // Others' stay: what was there before, what has a device, and what might be either of two.
    announce(R"("07000000-0000-0000-0000-000000000000")");
    kernel.snapshots[{7}] = {};
    kernel.snapshots[{8}] = {.devices = {"8:0"}};
    begin_again();
    EXPECT_EQ(kernel.snapshots.size(), 2U);
    announce("");
    kernel.snapshots[{9}] = {};
    begin_again();
    EXPECT_EQ(kernel.snapshots.size(), 3U);
    EXPECT_TRUE(nothing_is_left());
}

TEST_F(BlksnapSnapshots, records_of_another_boot_are_none) {
    create(request());
    snapshots.reset();
    hooks.clear();
    kernel.snapshots.clear();
    begin_again("another boot");
    EXPECT_TRUE(fs::is_empty(folder / "state/snapshots"));
    EXPECT_TRUE(hooks.empty());
    EXPECT_TRUE(snapshots->list().empty());
}

} // namespace

} // namespace filterd::snapshots
