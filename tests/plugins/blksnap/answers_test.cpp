// SPDX-License-Identifier: MIT
#include "blksnap/answers.hpp"
#include "blksnap/image.hpp"

#include "../../folder.hpp"
#include "../fake_host.hpp"
#include "fake_blksnap.hpp"

#include <fmt/format.h>

#include <fstream>
#include <gtest/gtest.h>
#include <set>
#include <sstream>

namespace filterd::snapshots {

namespace {

namespace fs = std::filesystem;

class BlksnapAnswers : public testing::Test {
protected:
    BlksnapAnswers() {
        detail::services = test::fake_host();
        snapshots = std::make_unique<Snapshots>(Surroundings{
            .state_folder = folder.path(),
            .link_folder = folder / "links",
            .control = [this]() -> blkfilter::Result<blkfilter::Control> { return kernel.control(); },
            .module = [this]() -> blkfilter::Result<blkfilter::blksnap::Module> { return kernel.module(); },
            .roots = {.sysfs = folder / "sys",
                      .proc = folder / "proc",
                      .place = [](const auto&) { return std::nullopt; }},
            .log = [](filterd_priority, const std::string&) {}});
        snapshots->create(
            {.label = "one",
             .devices = {{.id = {8, 0, 1}, .name = "sda", .declared = "data"}},
             .policy = {.path = folder.path().string(), .limit_bytes = 8 * mebibyte, .step_bytes = mebibyte}},
            [](std::uint32_t, const std::string&) {});
    }

    test::FakeCall ask(const std::string& base, const std::string& format,
                       std::optional<std::string> cursor = {}) {
        test::FakeCall fake{
            .arguments = {{"snapshot", "one"}, {"device", "data"}, {"base", base}, {"format", format}}};
        if (cursor)
            fake.arguments["cursor"] = *cursor;
        Call call{fake.handle()};
        try {
            answer_changes(call, *snapshots);
        } catch (const Failure& failure) {
            fake.code = failure.code();
            fake.failure = failure.what();
        }
        return fake;
    }

    [[nodiscard]] std::string base(int number) const {
        return fmt::format("ab000000-0000-0000-0000-000000000000/{}/{}/65536", number,
                           kernel.numbers.size() * test::FakeBlksnap::block_bytes);
    }

    blkfilter::test::Folder folder;
    test::FakeBlksnap kernel;
    std::unique_ptr<Snapshots> snapshots;
};

TEST_F(BlksnapAnswers, changes_since_a_base) {
    kernel.numbers[2] = kernel.numbers[3] = 3;
    kernel.numbers[99] = 2;
    const auto records = ask(base(2), "records").records;
    ASSERT_EQ(records.size(), 1U);
    EXPECT_EQ(records[0], (nlohmann::json{{"offset", 131072}, {"length", 131072}}));
    EXPECT_EQ(ask(base(1), "ranges").text, "131072 131072\n6488064 65536\n");
    EXPECT_EQ(ask(base(1), "nbdkit").text,
              "0 131072 hole\n131072 131072\n262144 6225920 hole\n6488064 65536\n");
    EXPECT_EQ(ask(base(3), "nbdkit").text, "0 6553600 hole\n");
}

TEST_F(BlksnapAnswers, a_base_that_does_not_fit_is_refused) {
    EXPECT_EQ(ask("ac000000-0000-0000-0000-000000000000/2/6553600/65536", "records").code, ESTALE);
    EXPECT_EQ(ask("ab000000-0000-0000-0000-000000000000/2/6553088/65536", "records").code, ESTALE);
    EXPECT_EQ(ask(base(4), "records").code, ESTALE);
    EXPECT_EQ(ask(base(0), "records").code, ESTALE);
    for (const char* wrong : {"", "ab", "ab000000-0000-0000-0000-000000000000/256/1/1", "x/1/1/1",
                              "ab000000-0000-0000-0000-000000000000/2/6553600/65536/7"})
        EXPECT_EQ(ask(wrong, "records").code, EINVAL) << wrong;
}

/// Blocks of 64 KiB, of lines "OFFSET LENGTH".
std::set<std::uint64_t> blocks_in(const std::string& text) {
    std::set<std::uint64_t> blocks;
    std::istringstream lines{text};
    for (std::uint64_t offset{}, length{}; lines >> offset >> length;)
        for (std::uint64_t at = 0; at < length; at += test::FakeBlksnap::block_bytes)
            EXPECT_TRUE(blocks.insert((offset + at) / test::FakeBlksnap::block_bytes).second) << offset;
    return blocks;
}

TEST_F(BlksnapAnswers, pages_miss_nothing_of_a_map_that_changes) {
    kernel.numbers.assign(20000, 0);
    std::set<std::uint64_t> changed;
    for (std::uint64_t block = 0; block < kernel.numbers.size(); block += 2) {
        kernel.numbers[block] = 3;
        changed.insert(block);
    }
    const auto first = ask(base(2), "ranges");
    ASSERT_TRUE(first.cursor);
    EXPECT_EQ(*first.cursor, fmt::format("ab000000-0000-0000-0000-000000000000 3 {}", 8191 * 128));
    // Two of the first page become one range; and one goes on from that page into the next.
    kernel.numbers[1] = kernel.numbers[8191] = 3;
    changed.insert(8191);
    const auto second = ask(base(2), "ranges", first.cursor);
    ASSERT_TRUE(second.cursor);
    EXPECT_TRUE(second.text->starts_with(fmt::format("{} {}\n", 8191 * 65536, 2 * 65536)));
    const auto third = ask(base(2), "ranges", second.cursor);
    EXPECT_FALSE(third.cursor);
    EXPECT_EQ(blocks_in(*first.text + *second.text + *third.text), changed);
}

TEST_F(BlksnapAnswers, pages_for_nbdkit_have_no_gap) {
    kernel.numbers.assign(10000, 0);
    for (std::size_t block = 1; block < kernel.numbers.size(); block += 2)
        kernel.numbers[block] = 3;
    const auto first = ask(base(2), "nbdkit");
    kernel.numbers[0] = kernel.numbers[8192] = 3;
    const auto second = ask(base(2), "nbdkit", first.cursor);
    EXPECT_FALSE(second.cursor);
    std::istringstream lines{*first.text + *second.text};
    std::uint64_t end{};
    for (std::string line; std::getline(lines, line);) {
        std::istringstream words{line};
        std::uint64_t offset{};
        std::uint64_t length{};
        words >> offset >> length;
        EXPECT_EQ(offset, end);
        end = offset + length;
    }
    EXPECT_EQ(end, kernel.numbers.size() * test::FakeBlksnap::block_bytes);
}

TEST_F(BlksnapAnswers, a_cursor_of_another_snapshot_is_refused) {
    const std::string id = "ab000000-0000-0000-0000-000000000000";
    EXPECT_EQ(ask(base(2), "records", id + " 3 128").code, 0);
    EXPECT_EQ(ask(base(2), "records", id + " 4 128").code, ESTALE);
    EXPECT_EQ(ask(base(2), "records", "ac000000-0000-0000-0000-000000000000 3 128").code, ESTALE);
    for (const auto& wrong : {std::string{"100"}, std::string{"no"}, id, id + " 3", id + " 3 0 records"})
        EXPECT_EQ(ask(base(2), "records", wrong).code, EINVAL) << wrong;
}

TEST(BlksnapImage, partitions_and_file_systems_are_found) {
    const blkfilter::test::Folder folder;
    const auto name = (folder / "image").string();
    blkfilter::test::write_file(name, "");
    fs::resize_file(name, 8 * mebibyte);
    EXPECT_EQ(contents_of(name).at(0).type, "");
    // The magic number of a swap area, at the end of its first page.
    std::fstream file{name, std::ios::in | std::ios::out | std::ios::binary};
    file.seekp(1024);
    file.write("\1\0\0\0\377\7\0\0", 8);
    file.seekp(4086);
    file.write("SWAPSPACE2", 10);
    file.close();
    EXPECT_EQ(contents_of(name).at(0).type, "swap");
    EXPECT_EQ(mount_options_of("swap"), std::nullopt);
    EXPECT_EQ(mount_options_of("xfs"), "ro,norecovery,nouuid");
    EXPECT_EQ(mount_options_of("btrfs"), std::nullopt);
}

} // namespace

} // namespace filterd::snapshots
