// SPDX-License-Identifier: MIT
/// The plugin cbt-only as filterd loads it, over a tracker made here.
#include "fake_host.hpp"

#include <linux/blkfilter-cbt.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <gtest/gtest.h>
#include <random>
#include <sstream>

namespace filterd {

namespace {

using test::FakeCall;

constexpr std::uint64_t sector_bytes = 512;
constexpr std::uint64_t block_sectors = 8;
constexpr std::uint64_t checkpoint_number = 7;
constexpr const char* generation_text = "ab000000-0000-0000-0000-000000000000";
constexpr const char* point_text = "00000000-0000-0000-0000-000000000001";

/// Blocks that are 'w'ritten, 'd'iscarded or unchanged, and the commands of cbt-only on them.
struct Tracker {
    std::string blocks;
    /// The last block may be a partial one.
    std::uint64_t sectors{};
    std::uint8_t generation{0xab};
    bool has_checkpoint{true};
    std::string created{};
    std::string deleted{};
    std::vector<blkfilter_cbt_range> dirty{};
    int pages{};

    explicit Tracker(std::string of_blocks, std::uint64_t missing = 0)
        : blocks{std::move(of_blocks)}, sectors{blocks.size() * block_sectors - missing} {}

    int operator()(std::uint32_t number, void* buffer, std::size_t size, std::size_t* length) {
        *length = size;
        switch (number) {
        case BLKFILTER_CBT_INFO:
            return info(*static_cast<blkfilter_cbt_info*>(buffer));
        case BLKFILTER_CBT_CREATE:
            return create(*static_cast<blkfilter_cbt_create*>(buffer));
        case BLKFILTER_CBT_LIST:
            return list(*static_cast<blkfilter_cbt_list*>(buffer));
        case BLKFILTER_CBT_DELETE:
            deleted = reinterpret_cast<const char*>(static_cast<blkfilter_cbt_delete*>(buffer)->name);
            return deleted == "monday" ? 0 : -ENOENT;
        case BLKFILTER_CBT_EXTENTS:
            return extents(*static_cast<blkfilter_cbt_extents*>(buffer));
        case BLKFILTER_CBT_DIRTY:
            return mark(*static_cast<blkfilter_cbt_dirty*>(buffer));
        default:
            return -ENOTTY;
        }
    }

    int info(blkfilter_cbt_info& raw) const {
        raw.generation[0] = generation;
        raw.flags = generation ? BLKFILTER_CBT_SETTLED : 0;
        raw.sectors = sectors;
        raw.memory = 12345;
        raw.block_size = block_sectors * sector_bytes;
        raw.named = has_checkpoint;
        return 0;
    }

    int create(blkfilter_cbt_create& raw) {
        created = reinterpret_cast<const char*>(raw.name);
        raw.number = raw.id[15] ? 5 : 8;
        return created == "monday" ? -EEXIST : 0;
    }

    int list(blkfilter_cbt_list& raw) const {
        auto* entry = reinterpret_cast<blkfilter_cbt_checkpoint*>(raw.checkpoints);
        entry[0] = {.number = checkpoint_number, .time_ns = 1'000'000'000, .name = {}, .id = {}};
        std::strcpy(reinterpret_cast<char*>(entry[0].name), "monday");
        entry[1] = {.number = 9, .time_ns = 2'000'000'000, .name = {}, .id = {}};
        entry[1].id[15] = 1;
        raw.count = has_checkpoint ? 2 : 0;
        raw.generation[0] = generation;
        return 0;
    }

    static std::uint64_t sector_of(std::size_t block) { return block * block_sectors; }

    int extents(blkfilter_cbt_extents& raw) {
        if (raw.generation[0] != generation)
            return -ESTALE;
        if (raw.number != checkpoint_number || !has_checkpoint)
            return -ENOENT;
        ++pages;
        auto* extent = reinterpret_cast<blkfilter_cbt_extent*>(raw.extents);
        std::uint32_t n = 0;
        std::size_t block = raw.sector < sectors ? raw.sector / block_sectors : blocks.size();
        while (block < blocks.size() && n < raw.count) {
            const auto end = std::min(blocks.find_first_not_of(blocks[block], block), blocks.size());
            if (blocks[block] != '-')
                extent[n++] = {.sector = sector_of(block),
                               .sectors = std::min(sector_of(end), sectors) - sector_of(block),
                               .flags = blocks[block] == 'd' ? BLKFILTER_CBT_DISCARDED : 0,
                               .reserved = 0};
            block = end;
        }
        raw.sector = std::min(sector_of(block), sectors);
        raw.count = n;
        return 0;
    }

    int mark(const blkfilter_cbt_dirty& raw) {
        const auto* range = reinterpret_cast<const blkfilter_cbt_range*>(raw.ranges);
        dirty.assign(range, range + raw.count);
        return 0;
    }
};

class CbtOnly : public testing::Test {
protected:
    static void SetUpTestSuite() {
        static const auto host = test::fake_host();
        plugin = test::plugin_of(CBT_ONLY);
        ASSERT_NE(plugin, nullptr);
        ASSERT_EQ(plugin->load(&host), 0);
    }

    static FakeCall run(const char* name, Tracker& tracker,
                        std::map<std::string, std::string> arguments = {}) {
        FakeCall call{.arguments = std::move(arguments), .kernel = std::ref(tracker)};
        const auto* command = test::command_of(*plugin, name);
        const int result = command->run(call.handle());
        EXPECT_EQ(result, call.failure.empty() ? 0 : -1);
        return call;
    }

    /// All pages of an answer, as filterctl puts them together.
    static FakeCall extents(Tracker& tracker, const std::string& format, const char* checkpoint = "monday") {
        auto all = run("extents", tracker, {{"checkpoint", checkpoint}, {"format", format}});
        while (all.cursor && all.failure.empty()) {
            auto page = run("extents", tracker, {{"cursor", *all.cursor}});
            std::ranges::move(page.records, std::back_inserter(all.records));
            if (page.text)
                all.text = all.text.value_or("") + *page.text;
            all.cursor = page.cursor;
            all.failure = page.failure;
            all.code = page.code;
        }
        return all;
    }

    static inline const filterd_plugin* plugin;
};

/// Blocks as lines "OFFSET LENGTH [TYPE]" say: '-' for a hole, 'w' for the rest. They must follow each other
/// without a gap.
std::string blocks_of(const std::string& lines, std::uint64_t bytes) {
    std::istringstream in{lines};
    std::string blocks;
    std::uint64_t at = 0;
    for (std::string line; std::getline(in, line);) {
        std::istringstream words{line};
        std::uint64_t offset{};
        std::uint64_t length{};
        std::string type;
        words >> offset >> length >> type;
        EXPECT_EQ(offset, at);
        EXPECT_GT(length, 0U);
        EXPECT_TRUE(type.empty() || type == "hole") << line;
        at = offset + length;
        const auto end = (at + block_sectors * sector_bytes - 1) / (block_sectors * sector_bytes);
        blocks.resize(end, type.empty() ? 'w' : '-');
    }
    EXPECT_EQ(at, bytes);
    return blocks;
}

std::string without_discards(std::string blocks) {
    std::ranges::replace(blocks, 'd', 'w');
    return blocks;
}

std::string random_blocks(std::size_t count, unsigned seed) {
    std::mt19937 random{seed};
    std::string blocks(count, '-');
    for (auto& block : blocks)
        block = "-wd"[random() % 3];
    return blocks;
}

/// Small ones, and such that pages end with, before and behind a change.
std::vector<std::string> samples() {
    std::vector<std::string> all{"", "-", "w", "d", "-w", "w-", "-w-d", "wd", std::string(100, '-')};
    for (const std::size_t changes : {4095, 4096, 4097, 8192}) {
        std::string alternating;
        for (std::size_t i = 0; i < changes; ++i)
            alternating += i % 2 ? "w-" : "d-";
        all.push_back(alternating);
        all.push_back("-" + alternating.substr(0, alternating.size() - 1));
    }
    for (unsigned seed = 0; seed < 20; ++seed)
        all.push_back(random_blocks(seed * 1500, seed));
    return all;
}

TEST_F(CbtOnly, nbdkit_covers_the_device_without_a_gap_and_never_says_zero) {
    for (const auto& blocks : samples()) {
        Tracker tracker{blocks, blocks.empty() ? 0U : 3U};
        const auto all = extents(tracker, "nbdkit");
        ASSERT_EQ(all.failure, "");
        EXPECT_EQ(blocks_of(all.text.value(), tracker.sectors * sector_bytes), without_discards(blocks));
    }
}

TEST_F(CbtOnly, nbdkit_covers_a_device_that_grows_between_two_pages) {
    // A full page that ends within the last block.
    std::string blocks;
    while (blocks.size() < 2 * 4096)
        blocks += "-w";
    Tracker tracker{blocks, 3};
    const auto first = run("extents", tracker, {{"checkpoint", "monday"}, {"format", "nbdkit"}});
    tracker = Tracker{blocks + "w-d"};
    const auto rest = run("extents", tracker, {{"cursor", first.cursor.value()}});
    EXPECT_EQ(blocks_of(first.text.value() + rest.text.value(), tracker.sectors * sector_bytes),
              blocks + "w-w");
}

TEST_F(CbtOnly, ranges_and_records_are_what_has_changed) {
    for (const auto& blocks : samples()) {
        Tracker tracker{blocks};
        const auto records = extents(tracker, "records").records;
        std::string ranges;
        std::string marked(blocks.size(), '-');
        for (const auto& record : records) {
            const std::uint64_t offset = record["offset"];
            const std::uint64_t length = record["length"];
            ranges += std::to_string(offset) + " " + std::to_string(length) + "\n";
            marked.replace(offset / 4096, length / 4096, length / 4096,
                           record["type"] == "written" ? 'w' : 'd');
        }
        EXPECT_EQ(marked, blocks);
        EXPECT_EQ(extents(tracker, "ranges").text, ranges);
    }
}

TEST_F(CbtOnly, a_page_has_room_in_an_answer_whatever_it_says) {
    // The longest numbers there are.
    const auto far = [](std::uint32_t number, void* buffer, std::size_t, std::size_t*) {
        if (number != BLKFILTER_CBT_EXTENTS)
            return -ENOTTY;
        auto& raw = *static_cast<blkfilter_cbt_extents*>(buffer);
        auto* extent = reinterpret_cast<blkfilter_cbt_extent*>(raw.extents);
        for (std::uint64_t i = 0; i < raw.count; ++i)
            extent[i] = {.sector = (1ULL << 54) + (i << 40),
                         .sectors = 1ULL << 39,
                         .flags = BLKFILTER_CBT_DISCARDED,
                         .reserved = 0};
        raw.sector = 1ULL << 54;
        return 0;
    };
    for (const std::string format : {"records", "ranges", "nbdkit"}) {
        FakeCall call{.arguments = {{"cursor", std::string{generation_text} + " 7 0 " + format}},
                      .kernel = far};
        EXPECT_EQ(test::command_of(*plugin, "extents")->run(call.handle()), 0) << call.failure;
        EXPECT_TRUE(call.cursor);
        EXPECT_LT(call.answer_bytes, FILTERD_ANSWER_BYTES / 2);
    }
}

TEST_F(CbtOnly, another_generation_between_two_pages_is_stale) {
    Tracker tracker{random_blocks(20000, 1)};
    const auto first = run("extents", tracker, {{"checkpoint", "monday"}});
    ASSERT_TRUE(first.cursor);
    tracker.generation = 0xcd;
    const auto second = run("extents", tracker, {{"cursor", *first.cursor}});
    EXPECT_EQ(second.code, ESTALE);
    EXPECT_EQ(second.failure, "no-such-disk: the history has begun anew since the checkpoint: everything may "
                              "have changed");
    EXPECT_TRUE(second.records.empty());
}

TEST_F(CbtOnly, a_checkpoint_that_goes_or_is_not_there_is_not_found) {
    Tracker tracker{random_blocks(20000, 2)};
    const auto first = run("extents", tracker, {{"checkpoint", "monday"}});
    tracker.has_checkpoint = false;
    EXPECT_EQ(run("extents", tracker, {{"cursor", first.cursor.value()}}).code, ENOENT);
    const auto unknown = run("extents", tracker, {{"checkpoint", "monday"}});
    EXPECT_EQ(unknown.code, ENOENT);
    EXPECT_NE(unknown.failure.find("everything may have changed"), std::string::npos);
}

TEST_F(CbtOnly, a_checkpoint_may_be_named_by_its_point) {
    Tracker tracker{"-w"};
    EXPECT_EQ(extents(tracker, "ranges", point_text).code, ENOENT) << "the kernel is asked for number 9";
    EXPECT_EQ(extents(tracker, "ranges", "").code, ENOENT);
}

TEST_F(CbtOnly, a_cursor_that_is_none_is_refused) {
    Tracker tracker{"-w"};
    const std::string generation = generation_text;
    for (const auto& cursor :
         {std::string{}, std::string{"x"}, generation, generation + " 7", generation + " 7 0",
          generation + " 7 0 zero", generation + " 7 x records", generation + " 7 0 records more",
          generation + " 99999999999999999999 0 records", "x 7 0 records" + std::string(100000, 'x')})
        EXPECT_EQ(run("extents", tracker, {{"cursor", cursor}}).code, EINVAL) << cursor.substr(0, 100);
    const auto beyond = run("extents", tracker, {{"cursor", generation + " 7 18446744073709551615 nbdkit"}});
    EXPECT_EQ(beyond.text, "");
}

TEST_F(CbtOnly, the_tracker_is_shown) {
    Tracker tracker{"-w"};
    EXPECT_EQ(run("info", tracker).records.at(0).dump(),
              R"({"block_bytes":4096,"generation":"ab000000-0000-0000-0000-000000000000",)"
              R"("memory_bytes":12345,"named":1,"settled":true,"size_bytes":8192})");
    FakeCall status{.kernel = std::ref(tracker)};
    EXPECT_EQ(plugin->status(status.handle()), 0);
    EXPECT_EQ(status.records.at(0).dump(), R"({"generation":"ab000000-0000-0000-0000-000000000000",)"
                                           R"("memory_bytes":12345,"named":1,"settled":true})");
    tracker.generation = 0;
    EXPECT_TRUE(run("info", tracker).records.at(0)["generation"].is_null());
}

TEST_F(CbtOnly, checkpoints_are_made_listed_and_deleted) {
    Tracker tracker{"-w"};
    EXPECT_EQ(run("checkpoint", tracker, {{"name", "tuesday"}}).records.at(0).dump(), R"({"number":8})");
    EXPECT_EQ(tracker.created, "tuesday");
    EXPECT_EQ(run("checkpoint", tracker, {{"name", "b"}, {"point", point_text}}).records.at(0)["number"], 5);
    EXPECT_EQ(run("checkpoint", tracker, {{"name", "b"}, {"point", "x"}}).code, EINVAL);
    const auto twice = run("checkpoint", tracker, {{"name", "monday"}});
    EXPECT_EQ(twice.code, EEXIST);
    EXPECT_NE(twice.failure.find("there is a checkpoint of that name"), std::string::npos);

    const auto list = run("list", tracker).records;
    ASSERT_EQ(list.size(), 2U);
    EXPECT_EQ(list[0].dump(), R"({"name":"monday","number":7,"point":null,"time":"1970-01-01T00:00:01Z"})");
    EXPECT_EQ(list[1].dump(), R"({"name":null,"number":9,"point":"00000000-0000-0000-0000-000000000001",)"
                              R"("time":"1970-01-01T00:00:02Z"})");

    EXPECT_EQ(run("delete", tracker, {{"name", "monday"}}).failure, "");
    EXPECT_EQ(run("delete", tracker, {{"name", "friday"}}).code, ENOENT);
}

TEST_F(CbtOnly, dirty_takes_the_sectors_that_ranges_touch) {
    Tracker tracker{"-w"};
    EXPECT_EQ(run("dirty", tracker, {{"range", "0+1 511+2 4096+512"}}).failure, "");
    ASSERT_EQ(tracker.dirty.size(), 3U);
    EXPECT_EQ(tracker.dirty[0].sector, 0U);
    EXPECT_EQ(tracker.dirty[0].sectors, 1U);
    EXPECT_EQ(tracker.dirty[1].sector, 0U);
    EXPECT_EQ(tracker.dirty[1].sectors, 2U);
    EXPECT_EQ(tracker.dirty[2].sector, 8U);
    EXPECT_EQ(tracker.dirty[2].sectors, 1U);
    for (const char* wrong : {"0", "+", "0+", "+1", "0+0", "a+1", "0+1x", "-1+1", "0+1 1",
                              "18446744073709551615+1", "1+18446744073709551615"})
        EXPECT_EQ(run("dirty", tracker, {{"range", wrong}}).code, EINVAL) << wrong;
}

TEST_F(CbtOnly, what_it_is) {
    EXPECT_STREQ(plugin->noun, "cbt");
    EXPECT_EQ(plugin->flags, FILTERD_KEEPS_HISTORY);
    EXPECT_TRUE(nlohmann::json::parse(plugin->config_schema).is_object());
    EXPECT_EQ(plugin->event, nullptr) << "the filter raises none";
    for (const char* changing : {"checkpoint", "delete", "dirty"})
        EXPECT_EQ(test::command_of(*plugin, changing)->flags, FILTERD_DEVICE | FILTERD_CHANGES);
    for (const char* asking : {"info", "list", "extents"})
        EXPECT_EQ(test::command_of(*plugin, asking)->flags, FILTERD_DEVICE);
}

} // namespace

} // namespace filterd
