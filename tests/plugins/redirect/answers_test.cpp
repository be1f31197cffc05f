// SPDX-License-Identifier: MIT
#include "migrations_fixture.hpp"
#include "redirect/answers.hpp"

namespace filterd::redirects {

namespace {

using blkfilter::redirect::Mode;

class RedirectAnswers : public RedirectMigrations {
protected:
    Json details() { return details_of(view(), migrations->surroundings().roots); }

    void link(const std::string& name, const std::string& to) const {
        const auto path = folder / "dev/disk/by-id" / name;
        std::filesystem::create_directories(path.parent_path());
        std::filesystem::create_symlink(to, path);
    }
};

TEST_F(RedirectAnswers, what_is_only_attached) {
    const auto json = details();
    EXPECT_EQ(json["source"], "sda");
    EXPECT_EQ(json["state"], "created");
    EXPECT_TRUE(json["target"].is_null());
    EXPECT_TRUE(json["mode"].is_null());
    EXPECT_EQ(json["current"], (folder / "dev/disk/by-id/OLD").string());
    EXPECT_TRUE(json["reboot"].is_null());
    EXPECT_TRUE(json["fstab"].empty());
}

TEST_F(RedirectAnswers, what_is_copied) {
    start(true);
    const auto json = details();
    EXPECT_EQ(json["state"], "running");
    EXPECT_EQ(json["mode"], "write-blocking");
    EXPECT_EQ(json["total_bytes"], 512U << 20);
    EXPECT_EQ(json["auto_cutover"], true);
    EXPECT_TRUE(json["seconds_left"].is_null());
    EXPECT_TRUE(json["reboot"].is_null());
    EXPECT_EQ(json["current"], (folder / "dev/disk/by-id/OLD").string());
}

TEST_F(RedirectAnswers, what_a_restart_needs) {
    start();
    // 8:16, which this machine may have by whatever name.
    const auto target = blkfilter::device_name({8, 16, 2});
    link("NEW", "../../" + target);
    const auto lasting = (folder / "dev/disk/by-id/NEW").string();
    blkfilter::test::write_file(folder / "proc/self/mountinfo", "22 1 8:0 / /data rw - ext4 /dev/sda rw\n");
    kernel.be(BLKFILTER_REDIRECT_REDIRECTED);
    auto json = details();
    EXPECT_EQ(json["current"], lasting);
    EXPECT_EQ(json["fstab"], Json::array({lasting + " /data ext4 rw 0 2"}));
    EXPECT_TRUE(
        json["reboot"].get<std::string>().starts_with("put the line 'fstab' into /etc/fstab, for " + lasting))
        << json["reboot"];
    // Nothing is mounted: a database on it.
    std::filesystem::remove(folder / "proc/self/mountinfo");
    json = details();
    EXPECT_TRUE(json["fstab"].empty());
    EXPECT_NE(
        json["reboot"].get<std::string>().find("instead of " + (folder / "dev/disk/by-id/OLD").string()),
        std::string::npos)
        << json["reboot"];
    const std::scoped_lock lock{kernel.mutex};
    kernel.status.flags = BLKFILTER_REDIRECT_UNSEEN;
}

TEST_F(RedirectAnswers, neither_is_current_when_writes_passed_by) {
    start();
    {
        const std::scoped_lock lock{kernel.mutex};
        kernel.status.state = BLKFILTER_REDIRECT_REDIRECTED;
        kernel.status.flags = BLKFILTER_REDIRECT_UNSEEN;
    }
    EXPECT_EQ(details()["current"], "neither: writes may have reached the source");
}

TEST_F(RedirectAnswers, a_redirect_alone_is_begun_again) {
    start(false, Mode::only);
    EXPECT_TRUE(details()["reboot"].get<std::string>().starts_with("begin the redirect to "))
        << details()["reboot"];
}

TEST_F(RedirectAnswers, an_old_source_says_so) {
    start();
    kernel.be(BLKFILTER_REDIRECT_READY);
    migrations->cut_over(redirection, source, {});
    migrations.reset();
    kernel.status = {};
    begin("another boot");
    const auto json = details();
    EXPECT_EQ(json["current"], "/dev/null");
    EXPECT_TRUE(json["reboot"].get<std::string>().ends_with(": /dev/null has what was written since"))
        << json["reboot"];
}

TEST_F(RedirectAnswers, where_the_record_is) {
    start();
    EXPECT_EQ(details()["record"], "none: a restart before the cut-over means starting again");
    EXPECT_TRUE(details()["record_marked_bytes"].is_null());
    start(false, Mode::background, {});
    {
        const std::scoped_lock lock{kernel.mutex};
        kernel.status.record_marked = 65536;
    }
    // 8:32, which this machine may have by whatever name.
    const auto device = blkfilter::device_name({8, 32, 3});
    const auto place = (folder / "dev" / device).string();
    auto json = details();
    EXPECT_EQ(json["record"], place + ", from byte 536870912 on");
    EXPECT_EQ(json["record_marked_bytes"], 65536);
    EXPECT_TRUE(json["record_error"].is_null());
    EXPECT_TRUE(json["record_behind"].is_null());
    EXPECT_EQ(json["continued"], false);
}

TEST_F(RedirectAnswers, a_record_that_cannot_be_written) {
    start(false, Mode::background, {});
    {
        const std::scoped_lock lock{kernel.mutex};
        kernel.status.record_sector = 0;
        kernel.status.record_error = EIO;
        kernel.status.flags |= BLKFILTER_REDIRECT_RECORD_BEHIND | BLKFILTER_REDIRECT_CONTINUED;
    }
    const auto device = blkfilter::device_name({8, 32, 3});
    blkfilter::test::write_file(folder / "sys/class/block" / device / "loop/backing_file", "/var/record\n");
    const auto json = details();
    EXPECT_EQ(json["record"], "/var/record by " + device);
    EXPECT_EQ(json["record_error"], "Input/output error");
    EXPECT_TRUE(json["record_behind"].get<std::string>().ends_with("it must not be continued"));
    EXPECT_EQ(json["continued"], true);
}

TEST_F(RedirectAnswers, what_is_interposed_leaves_the_source_the_current_device) {
    migrations->start(redirection, source,
                      {.request = {.target = "/dev/null", .mode = Mode::only, .interposes = true},
                       .place = {.kind = Place::Kind::none}});
    EXPECT_TRUE(records().empty()) << "a restart needs to know nothing";
    auto json = details();
    EXPECT_EQ(json["mode"], "interpose");
    EXPECT_EQ(json["state"], "redirected");
    EXPECT_EQ(json["current"], (folder / "dev/disk/by-id/OLD").string());
    EXPECT_TRUE(json["fstab"].empty());
    EXPECT_TRUE(json["reboot"].get<std::string>().ends_with("interpose it again, where it is needed"));
    EXPECT_TRUE(migrations->finish(redirection, source, blkfilter::redirect::Freeze::no));
    EXPECT_EQ(kernel.finish_flags, BLKFILTER_REDIRECT_NO_FREEZE);
    start(false, Mode::only);
    EXPECT_EQ(code_of([&] { migrations->finish(redirection, source, blkfilter::redirect::Freeze::no); }),
              EINVAL);
}

TEST(RedirectEvents, say_what_has_changed) {
    blkfilter_redirect_change change{.id = {}, .from = BLKFILTER_REDIRECT_RUNNING, .error = EIO};
    const auto data = std::as_bytes(std::span{&change, 1});
    EXPECT_EQ(change_of(BLKFILTER_REDIRECT_PAUSED, data),
              (Json{{"state", "paused"}, {"from", "running"}, {"error", "Input/output error"}}));
    EXPECT_EQ(change_of(BLKFILTER_REDIRECT_REDIRECTED, data)["error"], "writes may have reached the source");
    change.error = 0;
    EXPECT_TRUE(change_of(BLKFILTER_REDIRECT_READY, data)["error"].is_null());
    EXPECT_EQ(change_of(99, data)["state"], "unknown");
    EXPECT_EQ(change_of(BLKFILTER_REDIRECT_READY, {})["from"], "created");
}

} // namespace

} // namespace filterd::redirects
