// SPDX-License-Identifier: MIT
#include "fake_kernel.hpp"

#include <blkfilter/cbt.hpp>
#include <linux/blkfilter-cbt.h>

#include <algorithm>
#include <cerrno>
#include <gtest/gtest.h>
#include <span>
#include <string>
#include <vector>

namespace blkfilter::cbt {

namespace {

using test::at;
using test::control_of;
using test::device;
using test::put;
using test::refusing_control;
using test::text;

constexpr std::uint64_t device_sectors = 1 << 20;

/// A tracker that reports every second block of 8 sectors since checkpoint 7.
struct Kernel {
    std::uint64_t extents{};
    std::vector<std::uint64_t> asked_from;
    std::string created;
    std::vector<blkfilter_cbt_range> dirty;

    int operator()(unsigned long request, void* argument) {
        EXPECT_EQ(request, BLKFILTER_IOC_COMMAND);
        auto& command = *static_cast<blkfilter_command*>(argument);
        EXPECT_EQ(text(command.name), "cbt-only");
        EXPECT_EQ(*at<__u32>(command.opt), command.optlen);
        switch (command.cmd) {
        case BLKFILTER_CBT_CREATE:
            return create(*at<blkfilter_cbt_create>(command.opt));
        case BLKFILTER_CBT_LIST:
            return list(*at<blkfilter_cbt_list>(command.opt));
        case BLKFILTER_CBT_EXTENTS:
            return answer(*at<blkfilter_cbt_extents>(command.opt));
        case BLKFILTER_CBT_DIRTY:
            return mark(*at<blkfilter_cbt_dirty>(command.opt));
        default:
            return -ENOTTY;
        }
    }

    int create(blkfilter_cbt_create& raw) {
        created = text(raw.name);
        EXPECT_EQ(raw.limit_ms, 250U);
        raw.number = 7;
        return 0;
    }

    static int list(blkfilter_cbt_list& raw) {
        auto* entry = at<blkfilter_cbt_checkpoint>(raw.checkpoints);
        EXPECT_GE(raw.count, 2U);
        EXPECT_EQ(raw.entry_size, sizeof(*entry));
        entry[0].number = 7;
        entry[0].time_ns = 1'000'000'000;
        put(entry[0].name, "monday");
        entry[1].number = 9;
        entry[1].id[15] = 1;
        raw.generation[0] = 0xab;
        raw.count = 2;
        return 0;
    }

    int answer(blkfilter_cbt_extents& raw) {
        if (raw.generation[0] != 0xab)
            return -ESTALE;
        if (raw.number != 7)
            return -ENOENT;
        asked_from.push_back(raw.sector);
        auto* extent = at<blkfilter_cbt_extent>(raw.extents);
        std::uint32_t n = 0;
        for (auto i = raw.sector / 16; i < extents && n < raw.count; ++i, ++n)
            extent[n] = {.sector = i * 16, .sectors = 8, .flags = static_cast<__u32>(i % 2), .reserved = 0};
        raw.sector = n < raw.count ? device_sectors : (raw.sector / 16 + n) * 16;
        raw.count = n;
        return 0;
    }

    int mark(const blkfilter_cbt_dirty& raw) {
        EXPECT_EQ(raw.entry_size, sizeof(blkfilter_cbt_range));
        const std::span ranges{at<blkfilter_cbt_range>(raw.ranges), raw.count};
        dirty.assign(ranges.begin(), ranges.end());
        return 0;
    }
};

Uuid generation() {
    Uuid::Array bytes{};
    bytes[0] = std::byte{0xab};
    return Uuid{bytes};
}

TEST(Cbt, extents_come_page_by_page_and_all) {
    for (const std::uint64_t n : {0U, 1U, 1023U, 1024U, 1025U, 5000U}) {
        Kernel kernel{.extents = n, .asked_from = {}, .created = {}, .dirty = {}};
        const auto control = control_of(std::ref(kernel));
        const auto all = Tracker{control, device}.extents(generation(), 7);
        ASSERT_TRUE(all);
        ASSERT_EQ(all->size(), n);
        for (std::uint64_t i = 0; i < n; ++i)
            EXPECT_EQ((*all)[i],
                      (Extent{.range = {.sector = i * 16, .sectors = 8}, .discarded = i % 2 == 1}));
        EXPECT_TRUE(std::ranges::is_sorted(kernel.asked_from));
    }
}

TEST(Cbt, another_generation_and_an_unknown_checkpoint_are_errors) {
    Kernel kernel;
    const auto control = control_of(std::ref(kernel));
    const Tracker tracker{control, device};
    EXPECT_EQ(tracker.extents(Uuid{}, 7).error().code, ESTALE);
    EXPECT_NE(tracker.extents(Uuid{}, 7).error().message.find("everything may have changed"),
              std::string::npos);
    EXPECT_EQ(tracker.extents(generation(), 8).error().code, ENOENT);
}

TEST(Cbt, a_sink_that_fails_ends_it) {
    Kernel kernel{.extents = 3000, .asked_from = {}, .created = {}, .dirty = {}};
    const auto control = control_of(std::ref(kernel));
    const auto done = Tracker{control, device}.extents(generation(), 7, [](auto) -> Result<void> {
        return std::unexpected(Error{.code = EPIPE, .message = "closed"});
    });
    EXPECT_EQ(done.error().code, EPIPE);
    EXPECT_EQ(kernel.asked_from.size(), 1U);
}

TEST(Cbt, a_checkpoint_is_created_and_listed) {
    Kernel kernel;
    const auto control = control_of(std::ref(kernel));
    const Tracker tracker{control, device};
    EXPECT_EQ(tracker.create("monday", std::chrono::milliseconds{250}), 7U);
    EXPECT_EQ(kernel.created, "monday");
    EXPECT_EQ(tracker.create(std::string(64, 'x')).error().code, ENAMETOOLONG);
    EXPECT_EQ(tracker.name_point(PointId{}, "x").error().code, EINVAL);

    const auto checkpoints = tracker.checkpoints();
    ASSERT_TRUE(checkpoints);
    EXPECT_EQ(checkpoints->generation, generation());
    ASSERT_EQ(checkpoints->list.size(), 2U);
    EXPECT_EQ(checkpoints->list[0].name, "monday");
    EXPECT_EQ(checkpoints->list[0].time.time_since_epoch(), std::chrono::seconds{1});
    EXPECT_TRUE(checkpoints->list[0].id.is_null());
    EXPECT_EQ(checkpoints->list[1].name, "");
    EXPECT_FALSE(checkpoints->list[1].id.is_null());
}

TEST(Cbt, ranges_are_marked) {
    Kernel kernel;
    const auto control = control_of(std::ref(kernel));
    const std::vector<Range> ranges{{.sector = 8, .sectors = 16}, {.sector = 64, .sectors = 1}};
    EXPECT_TRUE(Tracker(control, device).mark_dirty(ranges));
    ASSERT_EQ(kernel.dirty.size(), 2U);
    EXPECT_EQ(kernel.dirty[1].sector, 64U);
    EXPECT_EQ(kernel.dirty[1].sectors, 1U);
}

TEST(Cbt, what_the_kernel_refuses_is_said) {
    const auto control = refusing_control(ENOENT);
    const auto info = Tracker{control, device}.info();
    ASSERT_FALSE(info);
    EXPECT_EQ(info.error().code, ENOENT);
    EXPECT_NE(info.error().message.find("cbt-only"), std::string::npos) << info.error().message;
}

} // namespace

} // namespace blkfilter::cbt
