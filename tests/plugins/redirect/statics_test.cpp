// SPDX-License-Identifier: MIT
#include "migrations_fixture.hpp"
#include "redirect/statics.hpp"

namespace filterd::redirects {

namespace {

using namespace std::chrono_literals;

class RedirectStatics : public RedirectMigrations {
protected:
    Statics statics{surroundings("this boot")};
};

TEST_F(RedirectStatics, are_begun_when_the_filter_is_attached) {
    statics.want(source, "/dev/null");
    EXPECT_TRUE(comes([&] { return was_said("sda: all I/O goes to /dev/null, as it is declared"); }));
    EXPECT_EQ(kernel.started.mode, std::uint32_t{BLKFILTER_REDIRECT_ONLY});
    EXPECT_TRUE(records().empty()) << "the configuration is the record";
    // Told again, as after each reading of the files.
    statics.want(source, "/dev/null");
    std::this_thread::sleep_for(50ms);
    EXPECT_EQ(kernel.count(BLKFILTER_REDIRECT_START), 1U);
}

TEST_F(RedirectStatics, are_tried_until_it_works_and_said_once) {
    kernel.start_error = -EAGAIN;
    statics.want(source, "/dev/null");
    EXPECT_TRUE(comes([&] { return kernel.count(BLKFILTER_REDIRECT_START) > 3; }));
    {
        const std::scoped_lock lock{mutex};
        EXPECT_EQ(lines.size(), 1U);
    }
    EXPECT_TRUE(was_said("sda is not redirected to /dev/null: "));
    const std::scoped_lock lock{kernel.mutex};
    kernel.start_error = 0;
}

TEST_F(RedirectStatics, wait_for_a_target_that_is_not_there_yet) {
    const auto target = (folder / "target").string();
    statics.want(source, target);
    EXPECT_TRUE(comes([&] { return was_said("No such file or directory"); }));
    blkfilter::test::write_file(target, "");
    EXPECT_TRUE(comes([&] { return kernel.count(BLKFILTER_REDIRECT_START) == 1; }));
}

TEST_F(RedirectStatics, end_with_the_filter) {
    kernel.attached = false;
    statics.want(source, "/dev/null");
    EXPECT_TRUE(comes([&] { return was_said("is not attached"); }));
    {
        const std::scoped_lock lock{kernel.mutex};
        kernel.attached = true;
    }
    std::this_thread::sleep_for(50ms);
    EXPECT_EQ(kernel.count(BLKFILTER_REDIRECT_START), 0U);
    statics.want(source, "/dev/null");
    EXPECT_TRUE(comes([&] { return kernel.count(BLKFILTER_REDIRECT_START) == 1; }));
}

} // namespace

} // namespace filterd::redirects
