// SPDX-License-Identifier: MIT
#include "redirect/place.hpp"

#include "../../folder.hpp"
#include "redirect/below.hpp"

#include <blkfilter/redirect.hpp>
#include <filterd/plugin.hpp>

#include <cerrno>
#include <gtest/gtest.h>
#include <linux/blkfilter-redirect.h>
#include <linux/magic.h>
#include <sys/vfs.h>

namespace filterd::redirects {

namespace {

constexpr std::uint64_t bytes = blkfilter::redirect::record_bytes;

class RedirectPlace : public testing::Test {
protected:
    OpenPlace open(const Place& place, bool is_new = true, const std::string& source = "8:0") {
        return open_place(place, source, is_new, {}, [this](const std::filesystem::path& path) {
            loops.push_back(path);
            return LoopDevice{.node = "/dev/loop7"};
        });
    }

    int code(bool is_new = true, const std::string& source = "8:0") {
        try {
            std::ignore = open(file, is_new, source);
        } catch (const Failure& failure) {
            said = failure.what();
            return failure.code();
        }
        return 0;
    }

    [[nodiscard]] bool is_in_memory() const {
        struct statfs about{};
        return ::statfs(folder.path().c_str(), &about) == 0 && about.f_type == TMPFS_MAGIC;
    }

    blkfilter::test::Folder folder;
    Place file{.kind = Place::Kind::file, .path = folder / "record"};
    std::vector<std::filesystem::path> loops;
    std::string said;
};

TEST_F(RedirectPlace, kinds_have_words) {
    for (const auto kind : {Place::Kind::none, Place::Kind::target, Place::Kind::device, Place::Kind::file})
        EXPECT_EQ(kind_of(std::string{to_string(kind)}), kind);
    EXPECT_THROW(kind_of("elsewhere"), Failure);
}

TEST_F(RedirectPlace, on_the_target_or_nowhere_nothing_is_opened) {
    EXPECT_EQ(open({.kind = Place::Kind::none}).node, std::nullopt);
    EXPECT_EQ(open({.kind = Place::Kind::target}).node, std::nullopt);
    EXPECT_EQ(open({.kind = Place::Kind::device, .path = "/dev/x"}).node, "/dev/x");
    EXPECT_TRUE(loops.empty());
}

TEST_F(RedirectPlace, a_file_is_made_of_the_right_size) {
    if (is_in_memory())
        GTEST_SKIP() << "temporary files are in memory";
    EXPECT_EQ(code(false), ENOENT) << "what is to be continued is not made";
    EXPECT_EQ(open(file).node, "/dev/loop7");
    EXPECT_EQ(blkfilter::test::text_in(file.path), std::string(bytes, '\0'));
    EXPECT_EQ(loops, std::vector<std::filesystem::path>{file.path});
    // As the kernel leaves it.
    auto content = blkfilter::test::text_in(file.path);
    content.replace(0, 16, BLKFILTER_REDIRECT_MAGIC);
    blkfilter::test::write_file(file.path, content);
    EXPECT_EQ(code(false), 0);
    EXPECT_EQ(code(true), 0);
    EXPECT_EQ(blkfilter::test::text_in(file.path), content) << "the kernel says what becomes of it";
}

TEST_F(RedirectPlace, somebody_elses_file_is_left_alone) {
    if (is_in_memory())
        GTEST_SKIP() << "temporary files are in memory";
    for (const auto& content : {std::string{"mine"}, std::string(bytes, 'x'), std::string(bytes + 1, '\0')}) {
        blkfilter::test::write_file(file.path, content);
        EXPECT_EQ(code(), EEXIST);
        EXPECT_EQ(said, file.path + " is no record of a migration: give a file that is not there yet");
        EXPECT_EQ(blkfilter::test::text_in(file.path), content);
    }
    EXPECT_TRUE(loops.empty());
}

TEST_F(RedirectPlace, what_lies_on_the_source_would_wait_for_itself) {
    const auto below = device_below(folder.path(), {});
    if (is_in_memory() || below.empty())
        GTEST_SKIP() << "temporary files are on no device";
    EXPECT_EQ(code(true, below), ELOOP);
    EXPECT_TRUE(said.starts_with(file.path + " lies on the source"));
    EXPECT_FALSE(std::filesystem::exists(file.path));
}

TEST_F(RedirectPlace, what_is_in_memory_is_no_place) {
    file.path = "/dev/shm/blkfilter-test-record";
    EXPECT_EQ(code(), EOPNOTSUPP);
    EXPECT_FALSE(std::filesystem::exists(file.path));
    file.path = folder / "no/such/folder";
    EXPECT_EQ(code(), ENOENT);
}

} // namespace

} // namespace filterd::redirects
