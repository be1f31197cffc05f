// SPDX-License-Identifier: MIT
#include "../../folder.hpp"
#include "fake_kernel.hpp"

#include <blkfilter/blksnap.hpp>
#include <linux/blksnap.h>

#include <cerrno>
#include <deque>
#include <filesystem>
#include <gtest/gtest.h>
#include <map>
#include <optional>
#include <string>
#include <sys/stat.h>
#include <unistd.h>
#include <vector>

namespace blkfilter::blksnap {

namespace {

using test::at;
using test::control_of;
using test::device;
using test::FakeTransport;
using test::put;
using test::refusing_control;
using test::text;

/// A device of 10 blocks of 64 KiB and a half, written in the intervals 0, 3, 3, 1, 4, 0...
struct Filter {
    std::uint8_t number = 4;
    std::uint8_t number_afterwards = 4;
    std::vector<std::uint8_t> numbers{0, 3, 3, 1, 4, 0, 0, 0, 0, 0, 4};
    std::vector<blksnap_sectors> dirty{};
    std::optional<blksnap_uuid> added{};
    int error{};

    int operator()(unsigned long request, void* argument) {
        EXPECT_EQ(request, BLKFILTER_IOC_COMMAND);
        auto& command = *static_cast<blkfilter_command*>(argument);
        EXPECT_EQ(text(command.name), "blksnap");
        switch (command.cmd) {
        case blkfilter_ctl_blksnap_cbtinfo:
            return info(*at<blksnap_cbtinfo>(command.opt));
        case blkfilter_ctl_blksnap_cbtmap:
            return map(*at<blksnap_cbtmap>(command.opt));
        case blkfilter_ctl_blksnap_cbtdirty:
            return mark(*at<blksnap_cbtdirty>(command.opt));
        case blkfilter_ctl_blksnap_snapshotadd:
            added = at<blksnap_snapshotadd>(command.opt)->id;
            return 0;
        case blkfilter_ctl_blksnap_snapshotinfo:
            at<blksnap_snapshotinfo>(command.opt)->error_code = error;
            put(at<blksnap_snapshotinfo>(command.opt)->image, "blksnap-image_8:0");
            return 0;
        default:
            return -ENOTTY;
        }
    }

    int info(blksnap_cbtinfo& raw) {
        raw.device_capacity = (10 * 65536) + 32768;
        raw.block_size = 65536;
        raw.block_count = static_cast<__u32>(numbers.size());
        raw.generation_id.b[0] = 0xab;
        raw.changes_number = number;
        number = number_afterwards;
        return 0;
    }

    int map(const blksnap_cbtmap& raw) {
        if (raw.offset + raw.length > numbers.size())
            return -ENODATA;
        std::memcpy(at<std::uint8_t>(raw.buffer), numbers.data() + raw.offset, raw.length);
        return 0;
    }

    int mark(const blksnap_cbtdirty& raw) {
        const auto* ranges = at<blksnap_sectors>(raw.dirty_sectors);
        dirty.assign(ranges, ranges + raw.count);
        return 0;
    }
};

MapInfo base_of(std::uint8_t number) {
    Uuid::Array generation{};
    generation[0] = std::byte{0xab};
    return {.size_bytes = (10 * 65536) + 32768,
            .block_bytes = 65536,
            .blocks = 11,
            .generation = Uuid{generation},
            .number = number};
}

TEST(BlksnapTracker, says_what_the_map_is_like) {
    const auto control = control_of(Filter{});
    EXPECT_EQ(Tracker(control, device).info().value(), base_of(4));
}

TEST(BlksnapTracker, joins_changed_blocks_and_ends_with_the_device) {
    const auto control = control_of(Filter{});
    const auto map = Tracker{control, device}.map();
    ASSERT_TRUE(map);
    using Ranges = std::vector<SectorRange>;
    EXPECT_EQ(map->changed_since(base_of(2)).value(), (Ranges{{.sector = 128, .sectors = 256},
                                                              {.sector = 512, .sectors = 128},
                                                              {.sector = 1280, .sectors = 64}}));
    EXPECT_EQ(map->changed_since(base_of(3)).value(),
              (Ranges{{.sector = 512, .sectors = 128}, {.sector = 1280, .sectors = 64}}));
    EXPECT_TRUE(map->changed_since(base_of(4)).value().empty());
}

TEST(BlksnapTracker, refuses_a_base_that_does_not_fit) {
    const auto control = control_of(Filter{});
    const auto map = Tracker{control, device}.map();
    ASSERT_TRUE(map);
    auto other = base_of(2);
    other.generation = Uuid::random();
    EXPECT_EQ(compare(other, map->info()), Mismatch::generation);
    auto smaller = base_of(2);
    smaller.size_bytes -= 512;
    EXPECT_EQ(compare(smaller, map->info()), Mismatch::size);
    for (const auto& base : {other, smaller, base_of(0), base_of(5)}) {
        const auto changed = map->changed_since(base);
        ASSERT_FALSE(changed);
        EXPECT_EQ(changed.error().code, ESTALE);
        EXPECT_TRUE(changed.error().message.ends_with(": a full copy is needed")) << changed.error().message;
    }
}

TEST(BlksnapTracker, a_base_is_its_text) {
    const std::string text = "ab000000-0000-0000-0000-000000000000/7/6553600/65536";
    const auto base = MapInfo::parse(text);
    ASSERT_TRUE(base);
    EXPECT_EQ(base->to_string(), text);
    EXPECT_EQ(base->blocks, 100U);
    EXPECT_EQ(MapInfo::parse("ab000000-0000-0000-0000-000000000000/7/6553601/65536")->blocks, 101U);
    for (const char* wrong :
         {"", "ab", "x/1/1/1", "ab000000-0000-0000-0000-000000000000/256/1/1",
          "ab000000-0000-0000-0000-000000000000/1/1/0", "ab000000-0000-0000-0000-000000000000/1/-1/1",
          "ab000000-0000-0000-0000-000000000000/2/6553600/65536/7",
          "ab000000-0000-0000-0000-000000000000/2/6553600/65536 ",
          "ab000000-0000-0000-0000-000000000000/2/18446744073709551615/512"}) {
        const auto refused = MapInfo::parse(wrong);
        ASSERT_FALSE(refused) << wrong;
        EXPECT_EQ(refused.error().code, EINVAL);
    }
}

TEST(BlksnapTracker, notices_a_snapshot_while_it_reads) {
    const auto control = control_of(Filter{.number_afterwards = 5});
    const auto map = Tracker{control, device}.map();
    ASSERT_FALSE(map);
    EXPECT_EQ(map.error().code, EAGAIN);
}

TEST(BlksnapTracker, marks_and_takes_part) {
    auto filter = std::make_shared<Filter>();
    const auto control =
        control_of([=](unsigned long request, void* argument) { return (*filter)(request, argument); });
    const Tracker tracker{control, device};
    const SectorRange range{.sector = 8, .sectors = 16};
    EXPECT_TRUE(tracker.mark_dirty({&range, 1}));
    ASSERT_EQ(filter->dirty.size(), 1U);
    EXPECT_EQ(filter->dirty[0].offset, 8U);
    EXPECT_EQ(filter->dirty[0].count, 16U);
    const auto id = Uuid::random();
    EXPECT_TRUE(tracker.add_to(id));
    ASSERT_TRUE(filter->added);
    EXPECT_EQ(std::memcmp(filter->added->b, id.bytes().data(), 16), 0);
}

TEST(BlksnapTracker, names_the_image_and_what_is_wrong_with_it) {
    const auto control = control_of(Filter{.error = -ENOSPC});
    const auto part = Tracker{control, device}.part();
    ASSERT_TRUE(part);
    EXPECT_EQ(part->image, "/dev/blksnap-image_8:0");
    EXPECT_EQ(part->error, ENOSPC);
}

TEST(BlksnapTracker, explains_errors) {
    const auto control = refusing_control(EBUSY);
    const auto done = Tracker{control, device}.add_to(Uuid::random());
    ASSERT_FALSE(done);
    EXPECT_EQ(
        done.error(),
        (Error{EBUSY, "4095:7: blksnap: it takes part in another snapshot, or this one has been taken"}));
}

/// /dev/blksnap-control with one snapshot at a time.
struct Kernel {
    std::optional<blksnap_uuid> snapshot{};
    std::vector<blksnap_uuid> foreign{};
    std::vector<int> files{};
    std::string node{};
    std::deque<blksnap_snapshot_event> events{};
    std::vector<DeviceId> frozen{};
    int take{};

    int operator()(unsigned long request, void* argument) {
        switch (request) {
        case IOCTL_BLKSNAP_VERSION:
            static_cast<blksnap_version*>(argument)->major = 2;
            return 0;
        case IOCTL_BLKSNAP_SNAPSHOT_CREATE:
            static_cast<blksnap_uuid*>(argument)->b[15] = 7;
            snapshot = *static_cast<blksnap_uuid*>(argument);
            return 0;
        case IOCTL_BLKSNAP_SNAPSHOT_DESTROY:
            return snapshot ? (snapshot.reset(), 0) : -ENODEV;
        case IOCTL_BLKSNAP_SNAPSHOT_TAKE:
            return take;
        case IOCTL_BLKSNAP_SNAPSHOT_TAKE_WITH:
            return take_with(*static_cast<blksnap_take_with*>(argument));
        case IOCTL_BLKSNAP_SNAPSHOT_COLLECT:
            return collect(*static_cast<blksnap_snapshot_collect*>(argument));
        case IOCTL_BLKSNAP_SNAPSHOT_APPEND_FILE:
            EXPECT_EQ(static_cast<blksnap_append_file*>(argument)->size, sizeof(blksnap_append_file));
            files.push_back(static_cast<blksnap_append_file*>(argument)->fd);
            return 0;
        case IOCTL_BLKSNAP_SNAPSHOT_APPEND_STORAGE:
            node = at<char>(static_cast<blksnap_snapshot_append_storage*>(argument)->bdev_path);
            return -EEXIST;
        case IOCTL_BLKSNAP_SNAPSHOT_WAIT_EVENT:
            return wait(*static_cast<blksnap_snapshot_event*>(argument));
        case IOCTL_BLKSNAP_SNAPSHOT_STATISTICS:
            static_cast<blksnap_statistics*>(argument)->state = BLKSNAP_STATE_TAKEN;
            static_cast<blksnap_statistics*>(argument)->used_sectors = 42;
            return 0;
        default:
            return -ENOTTY;
        }
    }

    int take_with(const blksnap_take_with& raw) {
        EXPECT_EQ(raw.size, sizeof(raw));
        for (__u32 i = 0; i < raw.freeze_count; ++i) {
            const auto& one = at<blkfilter_device>(raw.freeze)[i];
            frozen.push_back({one.major, one.minor, one.diskseq});
        }
        return take;
    }

    int collect(blksnap_snapshot_collect& raw) const {
        const auto room = raw.count;
        raw.count = static_cast<__u32>(foreign.size());
        if (room < foreign.size())
            return -ENODATA;
        std::copy(foreign.begin(), foreign.end(), at<blksnap_uuid>(raw.ids));
        return 0;
    }

    int wait(blksnap_snapshot_event& raw) {
        if (!snapshot)
            return -ESRCH;
        if (events.empty())
            return -ENOENT;
        raw = events.front();
        events.pop_front();
        return 0;
    }
};

struct BlksnapSnapshot : testing::Test {
    std::shared_ptr<Kernel> kernel = std::make_shared<Kernel>();
    Module module{std::make_unique<FakeTransport>(
        [kernel = kernel](unsigned long request, void* argument) { return (*kernel)(request, argument); })};
};

TEST_F(BlksnapSnapshot, ends_with_its_object) {
    {
        const auto snapshot = Snapshot::create(module);
        ASSERT_TRUE(snapshot);
        EXPECT_EQ(snapshot->id().to_string(), "00000000-0000-0000-0000-000000000007");
        EXPECT_TRUE(kernel->snapshot);
    }
    EXPECT_FALSE(kernel->snapshot);
}

TEST_F(BlksnapSnapshot, stays_when_released_or_adopted) {
    Uuid id;
    {
        auto snapshot = Snapshot::create(module);
        ASSERT_TRUE(snapshot);
        id = snapshot->id();
        snapshot->release();
    }
    {
        const Snapshot known{module, id};
    }
    EXPECT_TRUE(kernel->snapshot);
}

TEST_F(BlksnapSnapshot, is_destroyed_once) {
    auto snapshot = Snapshot::create(module);
    ASSERT_TRUE(snapshot);
    EXPECT_TRUE(snapshot->destroy());
    const auto again = snapshot->destroy();
    ASSERT_FALSE(again);
    EXPECT_EQ(again.error().message,
              "snapshot 00000000-0000-0000-0000-000000000007: no such snapshot: it was destroyed");
}

TEST_F(BlksnapSnapshot, lists_all_however_many) {
    kernel->foreign.resize(50);
    kernel->foreign[49].b[15] = 9;
    const auto all = module.snapshots();
    ASSERT_TRUE(all);
    ASSERT_EQ(all->size(), 50U);
    EXPECT_EQ(all->back().to_string(), "00000000-0000-0000-0000-000000000009");
}

TEST_F(BlksnapSnapshot, tells_its_events) {
    const auto snapshot = Snapshot::create(module).value();
    EXPECT_EQ(snapshot.wait(std::chrono::milliseconds{1}).value(), std::nullopt);
    blksnap_snapshot_event low{};
    low.code = blksnap_event_code_low_free_space;
    low.time_label = 5;
    const blksnap_event_low_free_space wanted{.requested_nr_sect = 2048};
    std::memcpy(low.data, &wanted, sizeof(wanted));
    blksnap_snapshot_event bad{};
    bad.code = blksnap_event_code_corrupted;
    const blksnap_event_corrupted why{.dev_id_mj = 8, .dev_id_mn = 16, .err_code = ENOSPC};
    std::memcpy(bad.data, &why, sizeof(why));
    blksnap_snapshot_event odd{};
    odd.code = 99;
    kernel->events = {low, bad, odd};
    const auto first = snapshot.wait(std::chrono::seconds{1});
    ASSERT_TRUE(first && *first);
    EXPECT_EQ((*first)->monotonic.count(), 5);
    EXPECT_EQ(std::get<LowSpace>((*first)->what).sectors, 2048U);
    const auto second = snapshot.wait(std::chrono::seconds{1});
    ASSERT_TRUE(second && *second);
    EXPECT_EQ(std::get<Corrupted>((*second)->what).minor, 16U);
    EXPECT_EQ(std::get<Corrupted>((*second)->what).error, ENOSPC);
    EXPECT_EQ(snapshot.wait(std::chrono::seconds{1}).error().code, EPROTO);
    EXPECT_EQ(snapshot.wait(std::chrono::milliseconds{-1}).error().code, ERANGE);
}

TEST_F(BlksnapSnapshot, explains_errors) {
    const auto snapshot = Snapshot::create(module).value();
    kernel->take = -ENODEV;
    EXPECT_EQ(snapshot.take().error().message,
              "snapshot 00000000-0000-0000-0000-000000000007: it has no devices, or one of them was removed");
    const SectorRange range{.sector = 0, .sectors = 8};
    EXPECT_EQ(snapshot.append("/dev/there", {&range, 1}).error().code, EEXIST);
    EXPECT_EQ(kernel->node, "/dev/there");
}

TEST_F(BlksnapSnapshot, freezes_what_lies_above_in_the_order_given) {
    const auto snapshot = Snapshot::create(module).value();
    EXPECT_TRUE(snapshot.take());
    EXPECT_TRUE(kernel->frozen.empty());
    const std::vector<DeviceId> above{{253, 1, 12}, {253, 0, 11}};
    EXPECT_TRUE(snapshot.take(above));
    EXPECT_EQ(kernel->frozen, above);
    kernel->take = -ENXIO;
    EXPECT_EQ(
        snapshot.take(above).error(),
        (Error{ENXIO, "snapshot 00000000-0000-0000-0000-000000000007: a device whose file system is to be "
                      "frozen is not there any more"}));
}

TEST_F(BlksnapSnapshot, says_how_it_is) {
    const auto snapshot = Snapshot::create(module).value();
    const auto statistics = snapshot.statistics();
    ASSERT_TRUE(statistics);
    EXPECT_EQ(statistics->state, SnapshotState::taken);
    EXPECT_EQ(statistics->used_sectors, 42U);
    EXPECT_EQ(to_string(statistics->state), "taken");
    EXPECT_EQ(module.version()->major, 2U);
}

/// A folder that goes with the test.
struct BlksnapStorage : BlksnapSnapshot {
    test::Folder own{};
    const std::filesystem::path& folder = own.path();
};

TEST_F(BlksnapStorage, is_a_file_without_a_name_that_is_allocated) {
    const auto storage = Storage::in_folder(folder, 100'000);
    ASSERT_TRUE(storage) << storage.error().message;
    EXPECT_EQ(storage->bytes(), 102'400U);
    EXPECT_TRUE(std::filesystem::is_empty(folder));
    struct stat status{};
    ASSERT_EQ(fstat(storage->descriptor(), &status), 0);
    EXPECT_EQ(status.st_size, 102'400);
    EXPECT_GE(status.st_blocks * 512, 102'400);
    EXPECT_EQ(status.st_mode & 0777U, 0600U);
    const auto snapshot = Snapshot::create(module).value();
    EXPECT_TRUE(snapshot.append(*storage));
    EXPECT_EQ(kernel->files, std::vector{storage->descriptor()});
}

TEST_F(BlksnapStorage, says_why_there_is_none) {
    EXPECT_EQ(Storage::in_folder(folder, 0).error().code, EINVAL);
    const auto huge = Storage::in_folder(folder, std::uint64_t{1} << 61U);
    ASSERT_FALSE(huge);
    EXPECT_TRUE(huge.error().message.starts_with(folder.string() + ": ")) << huge.error().message;
    EXPECT_TRUE(std::filesystem::is_empty(folder));
    EXPECT_EQ(Storage::in_folder(folder / "nowhere", 4096).error().code, ENOENT);
    EXPECT_EQ(Storage::device("/dev/null").error().code, ENOTBLK);
    EXPECT_EQ(Storage::device(folder / "nothing").error().code, ENOENT);
}

} // namespace

} // namespace blkfilter::blksnap
