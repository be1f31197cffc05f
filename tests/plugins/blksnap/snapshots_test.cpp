// SPDX-License-Identifier: MIT
#include "snapshots_fixture.hpp"

#include <fstream>

namespace filterd::snapshots {

namespace {

namespace fs = std::filesystem;
constexpr std::uint64_t mib = mebibyte;

TEST_F(BlksnapSnapshots, is_of_all_devices_with_storage_hooks_and_links) {
    const auto created = create(request());
    EXPECT_TRUE(created.record.taken);
    const auto inside = kernel.only_one();
    EXPECT_TRUE(inside.taken);
    EXPECT_EQ(inside.devices, (std::vector<std::string>{"8:0", "8:16"}));
    EXPECT_EQ(inside.storage_bytes, 2 * mib);
    EXPECT_EQ(hooks, (std::vector<std::string>{"stop ", "go taken"}));
    std::ifstream link{folder / "links/blksnap-image_8:16"};
    const std::string text{std::istreambuf_iterator<char>{link}, {}};
    EXPECT_EQ(text, "BLKFILTER_SNAPSHOT=one\nBLKFILTER_DEVICE=log\n");
    const auto all = snapshots->list();
    ASSERT_EQ(all.size(), 1U);
    EXPECT_EQ(all[0].record.label, "one");
    EXPECT_TRUE(all[0].ours);
    EXPECT_EQ(snapshots->find(created.record.id.to_string()).record.label, "one");
}

TEST_F(BlksnapSnapshots, refuses_what_cannot_be) {
    create(request());
    EXPECT_EQ(code_of([&] { create(request()); }), EEXIST);
    auto wanted = request("two");
    wanted.devices.clear();
    EXPECT_EQ(code_of([&] { create(wanted); }), EINVAL);
    wanted = request("../two");
    EXPECT_EQ(code_of([&] { create(wanted); }), EINVAL);
    wanted = request("two");
    wanted.devices.push_back(wanted.devices[0]);
    EXPECT_EQ(code_of([&] { create(wanted); }), EINVAL);
    kernel.without = {"8:16"};
    EXPECT_EQ(code_of([&] { create(request("two")); }), ENOENT);
    EXPECT_TRUE(
        was_said("log has no filter blksnap: declare it in the configuration, or filterctl stack attach"));
    EXPECT_EQ(kernel.snapshots.size(), 1U);
    EXPECT_EQ(code_of([&] { static_cast<void>(snapshots->find("two")); }), ENOENT);
}

TEST_F(BlksnapSnapshots, leaves_nothing_when_it_cannot_be_taken) {
    kernel.take_error = -ETIMEDOUT;
    EXPECT_EQ(code_of([&] { create(request()); }), ETIMEDOUT);
    EXPECT_TRUE(kernel.snapshots.empty());
    EXPECT_TRUE(nothing_is_left());
    EXPECT_EQ(hooks, (std::vector<std::string>{"stop ", "go failed"}));
}

TEST_F(BlksnapSnapshots, the_hook_before_may_forbid_it) {
    auto wanted = request();
    wanted.hooks.before = "fails";
    EXPECT_EQ(code_of([&] { create(wanted); }), ECANCELED);
    EXPECT_TRUE(was_said("the hook before it, 'fails', has ended with 7"));
    EXPECT_TRUE(kernel.snapshots.empty());
    EXPECT_TRUE(nothing_is_left());
    EXPECT_EQ(hooks, (std::vector<std::string>{"fails ", "go failed"}));
}

TEST_F(BlksnapSnapshots, is_shown_while_it_is_made) {
    std::vector<int> codes;
    during_hook = [&] {
        if (!hooks.empty())
            return;
        const auto status = snapshots->find("one");
        EXPECT_TRUE(status.ours);
        EXPECT_FALSE(status.record.taken);
        EXPECT_EQ(status.statistics.storage_sectors, 2 * mib / 512);
        const auto all = snapshots->list();
        ASSERT_EQ(all.size(), 1U);
        EXPECT_EQ(all[0].record.label, "one");
        codes = {code_of([&] { snapshots->destroy("one", false); }),
                 code_of([&] { snapshots->destroy(all[0].record.id.to_string(), true); }),
                 code_of([&] { snapshots->extend("one", mib); })};
    };
    create(request());
    EXPECT_EQ(codes, (std::vector<int>{EBUSY, EBUSY, EBUSY}));
    EXPECT_TRUE(was_said("snapshot one is being made"));
    EXPECT_TRUE(snapshots->find("one").record.taken);
}

TEST_F(BlksnapSnapshots, the_kernel_is_not_asked_about_one_that_it_is_busy_with) {
    during_hook = [&] {
        {
            const std::scoped_lock lock{kernel.mutex};
            kernel.statistics_error = hooks.empty() ? -EIO : 0;
        }
        EXPECT_EQ(snapshots->list().size(), 1U);
    };
    create(request());
    // Nor does it matter how another one is.
    {
        const std::scoped_lock lock{kernel.mutex};
        kernel.statistics_error = 0;
    }
    EXPECT_TRUE(snapshots->find("one").record.taken);
}

TEST_F(BlksnapSnapshots, what_fails_after_the_instant_costs_no_snapshot) {
    during_hook = [&] {
        if (hooks.empty())
            fs::create_directory(folder / "state/snapshots" /
                                 (snapshots->find("one").record.id.to_string() + ".json.new"));
    };
    EXPECT_TRUE(create(request()).record.taken);
    EXPECT_TRUE(was_said("its record is lost"));
    EXPECT_TRUE(kernel.only_one().taken);
    EXPECT_EQ(hooks, (std::vector<std::string>{"stop ", "go taken"}));
}

TEST_F(BlksnapSnapshots, what_the_kernel_keeps_stays_on_record) {
    kernel.take_error = -ETIMEDOUT;
    kernel.destroy_error = -EINTR;
    EXPECT_EQ(code_of([&] { create(request()); }), ETIMEDOUT);
    EXPECT_TRUE(was_said("which was not taken, stays"));
    EXPECT_FALSE(nothing_is_left());
    kernel.destroy_error = 0;
    begin_again();
    EXPECT_TRUE(kernel.snapshots.empty());
    EXPECT_TRUE(nothing_is_left());
}

TEST_F(BlksnapSnapshots, one_that_is_mounted_is_not_destroyed_unasked) {
    create(request());
    blkfilter::test::write_file(folder / "sys/class/block/blksnap-image_8:16/dev", "259:7\n");
    blkfilter::test::write_file(folder / "proc/1/mountinfo",
                                "22 1 259:7 / /mnt rw - ext4 /dev/blksnap-image_8:16 rw\n");
    fs::create_directories(folder / "proc/1/ns");
    fs::create_symlink("mnt:[1]", folder / "proc/1/ns/mnt");
    EXPECT_EQ(code_of([&] { snapshots->destroy("one", false); }), EBUSY);
    EXPECT_TRUE(was_said("its image blksnap-image_8:16 is mounted on /mnt"));
    snapshots->destroy("one", true);
    EXPECT_TRUE(nothing_is_left());
}

TEST_F(BlksnapSnapshots, leaves_no_thread) {
    const auto threads = [] {
        return std::distance(fs::directory_iterator{"/proc/self/task"}, fs::directory_iterator{});
    };
    const auto before = threads();
    for (int i = 0; i < 5; ++i) {
        create(request());
        snapshots->destroy("one", false);
    }
    create(request());
    EXPECT_LE(threads(), before + 1);
}

TEST_F(BlksnapSnapshots, is_destroyed_with_all_that_is_beside_it) {
    create(request());
    snapshots->destroy("one", false);
    EXPECT_TRUE(kernel.snapshots.empty());
    EXPECT_TRUE(nothing_is_left());
    EXPECT_EQ(code_of([&] { snapshots->destroy("one", false); }), ENOENT);
    create(request());
}

TEST_F(BlksnapSnapshots, somebody_elses_is_only_shown) {
    {
        const std::scoped_lock lock{kernel.mutex};
        kernel.snapshots[{9}] = {.taken = true};
    }
    const auto all = snapshots->list();
    ASSERT_EQ(all.size(), 1U);
    EXPECT_FALSE(all[0].ours);
    const auto id = all[0].record.id.to_string();
    EXPECT_EQ(code_of([&] { snapshots->destroy(id, false); }), EPERM);
    snapshots->destroy(id, true);
    EXPECT_TRUE(kernel.snapshots.empty());
}

} // namespace

} // namespace filterd::snapshots
