// SPDX-License-Identifier: MIT
#include "migrations_fixture.hpp"

namespace filterd::redirects {

namespace {

using blkfilter::redirect::Mode;
using blkfilter::redirect::State;
using namespace std::chrono_literals;

class RedirectContinue : public RedirectMigrations {
protected:
    /// A migration with a record on the target, and a power loss.
    blkfilter::redirect::StartRequest leave(bool cuts_over_itself = false, Place place = {}) {
        const auto request = start(cuts_over_itself, Mode::background, std::move(place));
        power_loss();
        return request;
    }

    void refuse(int error, std::uint32_t refused) {
        const std::scoped_lock lock{kernel.mutex};
        kernel.start_error = -error;
        kernel.refused = refused;
    }

    bool continues() {
        const std::scoped_lock lock{kernel.mutex};
        return (kernel.started.flags & BLKFILTER_REDIRECT_CONTINUE) != 0;
    }

    int go_on() {
        return code_of([&] { std::ignore = migrations->go_on(redirection, source); });
    }
};

TEST_F(RedirectContinue, goes_on_by_itself_as_it_was_begun) {
    const auto id = start(true, Mode::background, {}).id;
    migrations->set(redirection, {.bytes_per_second = 1000, .in_flight = 3});
    power_loss();
    begin("another boot");
    EXPECT_TRUE(was_said("OLD to /dev/null was ended by a restart; it goes on when both are there"));
    EXPECT_TRUE(comes([&] { return was_said("the migration of sda to /dev/null goes on"); }));
    EXPECT_EQ(kernel.started.flags, std::uint32_t{BLKFILTER_REDIRECT_CONTINUE});
    EXPECT_EQ(kernel.started.mode, std::uint32_t{BLKFILTER_REDIRECT_BACKGROUND});
    EXPECT_EQ(kernel.started.rate, 1000U);
    EXPECT_EQ(kernel.started.in_flight, 3U);
    EXPECT_EQ(view().status.id, id);
    EXPECT_TRUE(comes([&] { return view().record.has_value(); }));
    EXPECT_FALSE(view().before);
    EXPECT_EQ(records().at(0).boot, "another boot");
    // Nor does it forget what it was to do.
    kernel.be(BLKFILTER_REDIRECT_READY);
    EXPECT_TRUE(comes([&] { return view().status.state == State::redirected; }));
}

TEST_F(RedirectContinue, what_was_cut_over_is_redirected_again) {
    start(false, Mode::write_blocking, {});
    kernel.be(BLKFILTER_REDIRECT_READY);
    migrations->cut_over(redirection, source, {});
    power_loss();
    kernel.attached = false;
    kernel.recorded_state = BLKFILTER_REDIRECT_REDIRECTED;
    begin("another boot");
    EXPECT_TRUE(was_said("OLD is an old source: since"));
    EXPECT_TRUE(was_said("it goes on when both are there and the source has the filter"));
    std::this_thread::sleep_for(50ms);
    EXPECT_EQ(kernel.count(BLKFILTER_REDIRECT_START), 1U) << "it has no filter";
    {
        const std::scoped_lock lock{kernel.mutex};
        kernel.attached = true;
    }
    EXPECT_TRUE(comes([&] { return was_said("sda: all I/O goes to /dev/null, as before the restart"); }));
    EXPECT_TRUE(comes([&] { return !view().before; }));
    EXPECT_NE(records().at(0).cut_over, "");
}

TEST_F(RedirectContinue, until_then_the_old_source_is_not_the_current_device) {
    start(false, Mode::write_blocking, {});
    kernel.be(BLKFILTER_REDIRECT_READY);
    migrations->cut_over(redirection, source, {});
    power_loss();
    refuse(ENODEV, BLKFILTER_REDIRECT_TARGET_GONE);
    begin("another boot");
    EXPECT_TRUE(comes([&] { return was_said("the target has gone"); }));
    EXPECT_EQ(view().before->target, "/dev/null");
    EXPECT_NE(view().trouble, "");
    EXPECT_EQ(code_of([&] { start(); }), EPERM);
    EXPECT_EQ(code_of([&] { migrations->cancel(redirection, source); }), EBUSY);
    EXPECT_TRUE(was_said("finish sda says that this is known"));
    EXPECT_FALSE(migrations->finish(redirection, source));
    EXPECT_TRUE(records().empty());
}

TEST_F(RedirectContinue, a_cut_over_that_the_record_knows_nothing_of_has_not_been) {
    leave();
    auto record = records().at(0);
    record.cut_over = now_as_text();
    Records{folder / "state"}.write(record);
    begin("another boot");
    EXPECT_TRUE(comes([&] { return was_said("goes on") && records().at(0).cut_over.empty(); }));
}

TEST_F(RedirectContinue, is_tried_again_and_said_once) {
    leave();
    refuse(EAGAIN, 0);
    begin("another boot");
    const std::size_t before = kernel.count(BLKFILTER_REDIRECT_START);
    EXPECT_TRUE(comes([&] {
        migrations->look_again();
        return kernel.count(BLKFILTER_REDIRECT_START) > before + 3;
    }));
    {
        const std::scoped_lock lock{mutex};
        EXPECT_EQ(std::ranges::count_if(
                      lines, [](const auto& line) { return line.find("is settling") != std::string::npos; }),
                  1);
    }
    EXPECT_EQ(code_of([&] { start(); }), EPERM);
    EXPECT_TRUE(
        was_said("filterctl redirect continue sda does that, filterctl redirect cancel sda forgets it"));
    refuse(0, 0);
    migrations->look_again();
    EXPECT_TRUE(comes([&] { return continues(); }));
}

TEST_F(RedirectContinue, what_is_refused_for_good_is_said_with_what_to_do) {
    struct Case {
        int code;
        std::uint32_t refused;
        const char* says;
    };
    for (const auto& [code, refused, says] :
         {Case{ENODATA, BLKFILTER_REDIRECT_RECORD_NONE, "there is no record; if /dev/null is not the device"},
          Case{EBADMSG, BLKFILTER_REDIRECT_RECORD_DAMAGED,
               "the record is damaged; filterctl redirect cancel"},
          Case{EPROTONOSUPPORT, BLKFILTER_REDIRECT_RECORD_VERSION, "with a later blkfilter-redirect"},
          Case{ENOKEY, BLKFILTER_REDIRECT_RECORD_OTHER_ID, "of another migration; if /dev/null is not"},
          Case{EXDEV, BLKFILTER_REDIRECT_RECORD_OTHER_SIZE, "of other sizes; if /dev/null is not"},
          Case{EALREADY, BLKFILTER_REDIRECT_RECORD_CONCLUDED, "says that it has ended; filterctl"},
          Case{EUCLEAN, BLKFILTER_REDIRECT_RECORD_WRITTEN, "let nobody mount or write to it before"}}) {
        refuse(0, 0);
        begin();
        leave();
        refuse(code, refused);
        begin("another boot");
        EXPECT_TRUE(comes([&] { return was_said(says); })) << says;
        EXPECT_TRUE(was_said("filterctl redirect cancel sda forgets it, and it can be started again"));
        EXPECT_NE(view().trouble, "");
        const auto tries = kernel.count(BLKFILTER_REDIRECT_START);
        std::this_thread::sleep_for(30ms);
        EXPECT_EQ(kernel.count(BLKFILTER_REDIRECT_START), tries) << "not again";
        EXPECT_EQ(go_on(), code) << "but when somebody asks";
        EXPECT_FALSE(migrations->cancel(redirection, source));
        EXPECT_TRUE(records().empty());
    }
}

TEST_F(RedirectContinue, by_hand) {
    EXPECT_EQ(migrations->go_on(redirection, source), std::nullopt) << "nothing is to be continued";
    leave();
    refuse(EUCLEAN, BLKFILTER_REDIRECT_RECORD_WRITTEN);
    begin("another boot");
    EXPECT_TRUE(comes([&] { return !view().trouble.empty(); }));
    refuse(0, 0);
    EXPECT_EQ(go_on(), 0);
    EXPECT_TRUE(continues());
    // A boot that asks for it comes too late, which is no harm.
    EXPECT_EQ(go_on(), 0);
    EXPECT_EQ(kernel.count(BLKFILTER_REDIRECT_CANCEL), 0U);
    EXPECT_TRUE(migrations->cancel(redirection, source));
}

TEST_F(RedirectContinue, devices_without_names_that_last_are_asked_for) {
    std::filesystem::remove(folder / "dev/disk/by-id/OLD");
    leave();
    begin("another boot");
    EXPECT_TRUE(was_said("is not sure, as there are no names that last: filterctl redirect continue sda"));
    std::this_thread::sleep_for(30ms);
    EXPECT_FALSE(continues());
    EXPECT_EQ(go_on(), 0);
    EXPECT_TRUE(continues());
}

TEST_F(RedirectContinue, a_target_that_only_the_kernel_names_is_known_by_the_record_on_it) {
    leave(false, {.kind = Place::Kind::device, .path = "/dev/zero"});
    begin("another boot");
    EXPECT_TRUE(was_said("is not sure"));
    EXPECT_EQ(go_on(), 0);
    EXPECT_EQ(kernel.started.flags, std::uint32_t{BLKFILTER_REDIRECT_CONTINUE | BLKFILTER_REDIRECT_RECORD});
}

TEST_F(RedirectContinue, somebody_may_have_done_it_before) {
    const auto request = leave();
    {
        const std::scoped_lock lock{kernel.mutex};
        kernel.status.state = BLKFILTER_REDIRECT_REDIRECTED;
        std::memcpy(kernel.status.id, request.id.bytes().data(), sizeof(kernel.status.id));
    }
    begin("another boot");
    EXPECT_TRUE(comes([&] { return was_said("as before the restart"); }));
    EXPECT_FALSE(continues());
    EXPECT_TRUE(comes([&] { return !records().empty() && !records().at(0).cut_over.empty(); }));
}

TEST_F(RedirectContinue, a_source_that_was_pulled_goes_on_when_it_is_back) {
    start(false, Mode::write_blocking, {});
    kernel.be(BLKFILTER_REDIRECT_READY);
    migrations->cut_over(redirection, source, {});
    {
        const std::scoped_lock lock{kernel.mutex};
        kernel.gone = true;
        kernel.status = {};
        kernel.recorded_state = BLKFILTER_REDIRECT_REDIRECTED;
    }
    EXPECT_TRUE(comes([&] { return was_said("OLD is an old source"); }));
    {
        const std::scoped_lock lock{kernel.mutex};
        kernel.gone = false;
    }
    EXPECT_TRUE(comes([&] { return was_said("as before the restart"); }));
    EXPECT_TRUE(continues());
}

} // namespace

} // namespace filterd::redirects
