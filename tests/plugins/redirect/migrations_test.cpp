// SPDX-License-Identifier: MIT
#include "migrations_fixture.hpp"

#include <fstream>

namespace filterd::redirects {

namespace {

using blkfilter::redirect::Mode;
using blkfilter::redirect::State;
using namespace std::chrono_literals;

TEST_F(RedirectMigrations, stops_at_ready) {
    const auto request = start();
    EXPECT_EQ(kernel.started.mode, std::uint32_t{BLKFILTER_REDIRECT_WRITE_BLOCKING});
    kernel.be(BLKFILTER_REDIRECT_READY);
    std::this_thread::sleep_for(100ms);
    const auto now = view();
    EXPECT_EQ(now.status.state, State::ready);
    EXPECT_EQ(now.status.id, request.id);
    ASSERT_TRUE(now.record);
    EXPECT_EQ(now.record->cut_over, "");
    EXPECT_EQ(now.record->lasting_names, std::vector<std::string>{(folder / "dev/disk/by-id/OLD").string()});
    EXPECT_EQ(kernel.count(BLKFILTER_REDIRECT_CUTOVER), 0U);
}

TEST_F(RedirectMigrations, goes_on_by_itself_when_it_is_told_to) {
    start(true);
    std::this_thread::sleep_for(50ms);
    EXPECT_EQ(kernel.count(BLKFILTER_REDIRECT_CUTOVER), 0U) << "it is not ready";
    kernel.be(BLKFILTER_REDIRECT_READY);
    EXPECT_TRUE(comes([&] { return view().status.state == State::redirected; }));
    EXPECT_TRUE(
        comes([&] { return was_said("sda: all I/O goes to /dev/null; writes were held for 2.0 ms"); }));
    EXPECT_NE(records().at(0).cut_over, "");
}

TEST_F(RedirectMigrations, tries_again_what_took_too_long) {
    kernel.cut_over_errors = 1;
    start(true);
    kernel.be(BLKFILTER_REDIRECT_READY);
    EXPECT_TRUE(comes([&] { return was_said("it took too long, and is ready again"); }));
    EXPECT_TRUE(was_said("it is tried again in 1 s"));
    EXPECT_TRUE(comes([&] { return !view().trouble.empty(); }));
    EXPECT_EQ(records().at(0).cut_over, "") << "nothing was cut over";
    EXPECT_TRUE(comes([&] { return view().status.state == State::redirected; }));
    EXPECT_TRUE(comes([&] { return view().trouble.empty(); }));
    EXPECT_EQ(kernel.count(BLKFILTER_REDIRECT_CUTOVER), 2U);
}

TEST_F(RedirectMigrations, what_is_not_ready_is_not_cut_over) {
    start();
    EXPECT_EQ(code_of([&] { migrations->cut_over(redirection, source, {}); }), EINVAL);
    EXPECT_TRUE(was_said("sda is running: only what is ready can be cut over"));
    EXPECT_EQ(kernel.count(BLKFILTER_REDIRECT_CUTOVER), 0U);
}

TEST_F(RedirectMigrations, the_record_comes_before_the_cut_over) {
    start();
    kernel.be(BLKFILTER_REDIRECT_READY);
    EXPECT_EQ(migrations->cut_over(redirection, source, {}), 2ms);
    EXPECT_NE(records().at(0).cut_over, "");
    // A record that cannot be written: nothing happens.
    kernel.be(BLKFILTER_REDIRECT_READY);
    std::filesystem::create_directory(folder / "state" / (view().status.id.to_string() + ".json.new"));
    EXPECT_ANY_THROW(migrations->cut_over(redirection, source, {}));
    EXPECT_EQ(kernel.count(BLKFILTER_REDIRECT_CUTOVER), 1U);
}

TEST_F(RedirectMigrations, a_start_that_fails_leaves_nothing) {
    kernel.start_error = -EBUSY;
    EXPECT_EQ(code_of([&] { start(); }), EBUSY);
    EXPECT_TRUE(records().empty());
}

TEST_F(RedirectMigrations, survives_filterd) {
    start(true);
    begin();
    kernel.be(BLKFILTER_REDIRECT_READY);
    EXPECT_TRUE(comes([&] { return view().status.state == State::redirected; }));
    begin();
    ASSERT_TRUE(view().record);
    EXPECT_TRUE(view().record->cuts_over_itself);
    EXPECT_FALSE(view().before);
}

TEST_F(RedirectMigrations, one_that_ends_leaves_no_record) {
    start();
    kernel.be(BLKFILTER_REDIRECT_CONCLUDED);
    EXPECT_TRUE(comes([&] { return records().empty(); }));
    start();
    {
        const std::scoped_lock lock{kernel.mutex};
        kernel.status.state = BLKFILTER_REDIRECT_FAILED;
        kernel.status.error = ENODEV;
    }
    EXPECT_TRUE(
        comes([&] { return was_said("the migration of sda to /dev/null has failed: No such device"); }));
    EXPECT_TRUE(comes([&] { return records().empty(); }));
    start();
    {
        const std::scoped_lock lock{kernel.mutex};
        kernel.attached = false;
    }
    EXPECT_TRUE(comes([&] { return records().empty(); }));
}

TEST_F(RedirectMigrations, finish_ends_it) {
    start();
    kernel.be(BLKFILTER_REDIRECT_REDIRECTED);
    kernel.finish_error = -EBUSY;
    EXPECT_EQ(code_of([&] { migrations->finish(redirection, source); }), EBUSY);
    EXPECT_EQ(records().size(), 1U);
    kernel.finish_error = 0;
    EXPECT_TRUE(migrations->finish(redirection, source));
    EXPECT_TRUE(records().empty());
}

// --- another boot ---

TEST_F(RedirectMigrations, the_old_source_is_not_the_current_device_after_a_restart) {
    start();
    kernel.be(BLKFILTER_REDIRECT_READY);
    migrations->cut_over(redirection, source, {});
    migrations.reset();
    kernel.status = {};
    // The kernel may call it otherwise then.
    std::filesystem::remove(folder / "dev/disk/by-id/OLD");
    std::filesystem::create_symlink("../../sdx", folder / "dev/disk/by-id/OLD");
    begin("another boot");
    EXPECT_TRUE(was_said("OLD is an old source: since"));
    EXPECT_FALSE(view().before) << "another device has its name now";
    source.name = "sdx";
    ASSERT_TRUE(view().before);
    EXPECT_EQ(view().before->target, "/dev/null");
    EXPECT_EQ(code_of([&] { start(); }), EPERM);
    EXPECT_TRUE(was_said("sdx is the old source of /dev/null: its data is of "));
    EXPECT_EQ(kernel.count(BLKFILTER_REDIRECT_START), 1U);
    // Somebody says that this is known.
    EXPECT_FALSE(migrations->finish(redirection, source));
    EXPECT_TRUE(records().empty());
    start();
}

TEST_F(RedirectMigrations, a_cut_over_that_nobody_has_seen_the_end_of_counts) {
    start();
    migrations.reset();
    auto record = records().at(0);
    record.cut_over = now_as_text();
    Records{folder / "state"}.write(record);
    kernel.status = {};
    begin("another boot");
    EXPECT_TRUE(view().before);
}

TEST_F(RedirectMigrations, a_redirect_alone_makes_the_source_old_at_once) {
    start(false, Mode::only);
    EXPECT_NE(records().at(0).cut_over, "");
    migrations.reset();
    kernel.status = {};
    begin("another boot");
    EXPECT_TRUE(view().before);
}

TEST_F(RedirectMigrations, what_has_no_record_starts_again) {
    start();
    migrations.reset();
    kernel.status = {};
    begin("another boot");
    EXPECT_TRUE(was_said("the migration of sda to /dev/null was ended by a restart, and has no record"));
    EXPECT_TRUE(records().empty());
    EXPECT_FALSE(view().before);
}

TEST_F(RedirectMigrations, records_that_cannot_be_read_are_no_silent_nothing) {
    migrations.reset();
    std::filesystem::remove_all(folder / "state");
    std::ofstream{folder / "state"} << "no folder";
    begin();
    EXPECT_TRUE(was_said("state: Not a directory"));
}

TEST_F(RedirectMigrations, another_programs_are_shown) {
    {
        const std::scoped_lock lock{kernel.mutex};
        kernel.status.state = BLKFILTER_REDIRECT_READY;
        kernel.status.id[0] = 1;
    }
    EXPECT_FALSE(view().record);
    EXPECT_EQ(migrations->cut_over(redirection, source, {}), 2ms);
}

TEST_F(RedirectMigrations, what_cannot_be_read_is_said) {
    blkfilter::test::write_file(folder / "state/00000000-0000-0000-0000-000000000001.json", "{");
    begin();
    EXPECT_TRUE(was_said("00000000-0000-0000-0000-000000000001.json: "));
}

} // namespace

} // namespace filterd::redirects
