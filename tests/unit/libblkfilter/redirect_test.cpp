// SPDX-License-Identifier: MIT
#include "fake_kernel.hpp"

#include <blkfilter/redirect.hpp>
#include <linux/blkfilter-redirect.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <gtest/gtest.h>
#include <string>
#include <vector>

namespace blkfilter::redirect {

namespace {

using test::at;
using test::control_of;
using test::device;
using test::refusing_control;
using test::text;
using namespace std::chrono_literals;

/// What the filter was told, and what it answers with.
struct Kernel {
    blkfilter_redirect_start started{};
    blkfilter_redirect_set set{};
    blkfilter_redirect_cutover cut{};
    std::vector<std::uint32_t> plain{};
    std::uint32_t plain_flags{}; ///< of the last one
    blkfilter_redirect_below below{};
    std::uint32_t refused{};
    int error{};

    int operator()(unsigned long request, void* argument) {
        EXPECT_EQ(request, BLKFILTER_IOC_COMMAND);
        auto& command = *static_cast<blkfilter_command*>(argument);
        EXPECT_EQ(text(command.name), "redirect");
        EXPECT_EQ(*at<__u32>(command.opt), command.optlen);
        switch (command.cmd) {
        case BLKFILTER_REDIRECT_START:
            started = *at<blkfilter_redirect_start>(command.opt);
            at<blkfilter_redirect_start>(command.opt)->refused = refused;
            return -error;
        case BLKFILTER_REDIRECT_STATUS:
            return status(*at<blkfilter_redirect_status>(command.opt));
        case BLKFILTER_REDIRECT_SET:
            set = *at<blkfilter_redirect_set>(command.opt);
            return 0;
        case BLKFILTER_REDIRECT_CUTOVER:
            cut = *at<blkfilter_redirect_cutover>(command.opt);
            at<blkfilter_redirect_cutover>(command.opt)->held_ns = 2'000'000;
            return 0;
        case BLKFILTER_REDIRECT_VERIFY:
            return verify(*at<blkfilter_redirect_verify>(command.opt));
        case BLKFILTER_REDIRECT_BELOW:
            below = *at<blkfilter_redirect_below>(command.opt);
            at<blkfilter_redirect_below>(command.opt)->device = {.major = 259, .minor = 3, .diskseq = 9};
            std::strcpy(at<blkfilter_redirect_below>(command.opt)->name, "below-sda");
            return 0;
        default:
            EXPECT_EQ(command.optlen, sizeof(blkfilter_redirect_plain));
            plain_flags = at<blkfilter_redirect_plain>(command.opt)->flags;
            plain.push_back(command.cmd);
            return 0;
        }
    }

    static int status(blkfilter_redirect_status& raw) {
        raw.state = BLKFILTER_REDIRECT_READY;
        raw.mode = BLKFILTER_REDIRECT_BACKGROUND;
        raw.error = EIO;
        raw.id[15] = 1;
        raw.target = {.major = 8, .minor = 16, .diskseq = 5};
        raw.first_sector = 8;
        raw.sectors = 16;
        raw.target_sector = 24;
        raw.total = 1;
        raw.remaining = 2;
        raw.copied = 3;
        raw.dirtied = 4;
        raw.mirrored = 5;
        raw.rate = 6;
        raw.in_flight = 7;
        raw.copies = 8;
        raw.waited = 9;
        raw.target_errors = 10;
        raw.attempts = 11;
        raw.flags = BLKFILTER_REDIRECT_UNSEEN | BLKFILTER_REDIRECT_RECORDED |
                    BLKFILTER_REDIRECT_RECORD_BEHIND | BLKFILTER_REDIRECT_CONTINUED |
                    BLKFILTER_REDIRECT_INTERPOSED;
        raw.record = {.major = 8, .minor = 32, .diskseq = 6};
        raw.record_sector = 15;
        raw.record_marked = 16;
        raw.record_error = ENOSPC;
        raw.held_ns = 12;
        raw.time_ns = 13;
        raw.started_ns = 14;
        return 0;
    }

    static int verify(blkfilter_redirect_verify& raw) {
        EXPECT_EQ(raw.sectors, 64U);
        raw.different = raw.sector == 0 ? 17 : ~0ULL;
        raw.sector = raw.sector == 0 ? 128 : 192;
        raw.compared = 1000;
        raw.skipped = 24;
        return 0;
    }
};

class RedirectTest : public testing::Test {
protected:
    Kernel kernel;
    Control control{
        control_of([this](unsigned long request, void* argument) { return kernel(request, argument); })};
    Redirection redirection{control, device};
};

TEST_F(RedirectTest, starts_with_all_that_is_given) {
    const Uuid id{{std::byte{0xab}}};
    ASSERT_TRUE(redirection.start({.target = "/dev/null",
                                   .mode = Mode::only,
                                   .range = SectorRange{.sector = 8, .sectors = 16},
                                   .target_sector = 24,
                                   .bytes_per_second = 1000,
                                   .in_flight = 4,
                                   .limit = 250ms,
                                   .id = id,
                                   .no_atomic_writes = true}));
    EXPECT_EQ(kernel.started.mode, std::uint32_t{BLKFILTER_REDIRECT_ONLY});
    EXPECT_EQ(kernel.started.flags, BLKFILTER_REDIRECT_NO_ATOMIC);
    EXPECT_GE(kernel.started.target, 0);
    EXPECT_EQ(kernel.started.first_sector, 8U);
    EXPECT_EQ(kernel.started.sectors, 16U);
    EXPECT_EQ(kernel.started.target_sector, 24U);
    EXPECT_EQ(kernel.started.rate, 1000U);
    EXPECT_EQ(kernel.started.in_flight, 4U);
    EXPECT_EQ(kernel.started.limit_ms, 250U);
    EXPECT_EQ(kernel.started.id[0], 0xab);
}

TEST_F(RedirectTest, a_migration_is_of_the_whole_device_and_has_an_id) {
    ASSERT_TRUE(redirection.start({.target = "/dev/null", .no_record = true}));
    EXPECT_EQ(kernel.started.mode, std::uint32_t{BLKFILTER_REDIRECT_WRITE_BLOCKING});
    EXPECT_EQ(kernel.started.flags, BLKFILTER_REDIRECT_NO_RECORD);
    EXPECT_EQ(kernel.started.sectors, 0U);
    const std::vector<std::uint8_t> id{std::begin(kernel.started.id), std::end(kernel.started.id)};
    EXPECT_NE(id, std::vector<std::uint8_t>(Uuid::length_bytes));
}

TEST_F(RedirectTest, says_where_the_record_is) {
    ASSERT_TRUE(redirection.start({.target = "/dev/null"}));
    EXPECT_EQ(kernel.started.flags, 0U) << "on the target";
    ASSERT_TRUE(redirection.start({.target = "/dev/null", .record = "/dev/zero", .continues = true}));
    EXPECT_EQ(kernel.started.flags, BLKFILTER_REDIRECT_RECORD | BLKFILTER_REDIRECT_CONTINUE);
    EXPECT_GE(kernel.started.record, 0);
    EXPECT_NE(kernel.started.record, kernel.started.target);
    EXPECT_EQ(redirection.start({.target = "/dev/null", .record = "/dev/no-such-device"}).error(),
              (Error{ENOENT, "/dev/no-such-device: No such file or directory"}));
}

TEST_F(RedirectTest, says_what_is_wrong_with_a_target) {
    EXPECT_EQ(redirection.start({.target = "/dev/no-such-device"}).error(),
              (Error{ENOENT, "/dev/no-such-device: No such file or directory"}));
    kernel.error = ENOSPC;
    kernel.refused = BLKFILTER_REDIRECT_TARGET_SMALLER;
    EXPECT_EQ(redirection.start({.target = "/dev/null"}).error(),
              (Error{ENOSPC, "4095:7 to /dev/null: the target is smaller than the source"}));
    // Each has words of its own, and a later kernel's has the errno's.
    std::vector<std::string> said;
    for (kernel.refused = BLKFILTER_REDIRECT_TARGET_SMALLER;
         kernel.refused <= BLKFILTER_REDIRECT_TARGET_NOT_BELOW; ++kernel.refused) {
        const auto message = redirection.start({.target = "/dev/null"}).error().message;
        EXPECT_TRUE(message.starts_with("4095:7 to /dev/null: ")) << message;
        EXPECT_EQ(std::ranges::count(said, message), 0) << message;
        said.push_back(message);
    }
    kernel.error = EBUSY;
    EXPECT_EQ(redirection.start({.target = "/dev/null"}).error(),
              (Error{EBUSY, "4095:7: redirect: a migration or a redirect of it is under way"}));
}

TEST_F(RedirectTest, says_how_it_is) {
    const auto status = redirection.status();
    ASSERT_TRUE(status);
    EXPECT_EQ(status->state, State::ready);
    EXPECT_EQ(status->mode, Mode::background);
    EXPECT_EQ(status->error, EIO);
    EXPECT_EQ(status->id.to_string(), "00000000-0000-0000-0000-000000000001");
    EXPECT_EQ(status->target, (DeviceId{8, 16, 5}));
    EXPECT_EQ(status->range, (SectorRange{.sector = 8, .sectors = 16}));
    EXPECT_EQ(status->target_sector, 24U);
    EXPECT_EQ((std::vector<std::uint64_t>{status->total_bytes, status->remaining_bytes, status->copied_bytes,
                                          status->dirtied_bytes, status->mirrored_bytes,
                                          status->bytes_per_second, status->in_flight, status->copies,
                                          status->waited, status->target_errors, status->attempts}),
              (std::vector<std::uint64_t>{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11}));
    EXPECT_FALSE(status->sends_fua);
    EXPECT_TRUE(status->is_unseen);
    EXPECT_TRUE(status->is_continued);
    EXPECT_TRUE(status->is_interposed);
    ASSERT_TRUE(status->record);
    EXPECT_EQ(status->record->device, (DeviceId{8, 32, 6}));
    EXPECT_EQ(status->record->sector, 15U);
    EXPECT_EQ(status->record->marked_bytes, 16U);
    EXPECT_EQ(status->record->error, ENOSPC);
    EXPECT_TRUE(status->record->is_behind);
    EXPECT_EQ(status->held, 12ns);
    EXPECT_EQ(status->time, 13ns);
    EXPECT_EQ(status->started, 14ns);
}

TEST_F(RedirectTest, sets_only_what_has_a_value) {
    ASSERT_TRUE(redirection.set({.bytes_per_second = 0}));
    EXPECT_EQ(kernel.set.flags, BLKFILTER_REDIRECT_SET_RATE);
    ASSERT_TRUE(redirection.set({.in_flight = 9, .mode = Mode::background}));
    EXPECT_EQ(kernel.set.flags, BLKFILTER_REDIRECT_SET_IN_FLIGHT | BLKFILTER_REDIRECT_SET_MODE);
    EXPECT_EQ(kernel.set.in_flight, 9U);
    EXPECT_EQ(kernel.set.mode, std::uint32_t{BLKFILTER_REDIRECT_BACKGROUND});
}

TEST_F(RedirectTest, each_verb_is_a_command_of_its_own) {
    EXPECT_TRUE(redirection.pause());
    EXPECT_TRUE(redirection.resume());
    EXPECT_TRUE(redirection.cancel());
    EXPECT_TRUE(redirection.finish());
    EXPECT_EQ(kernel.plain,
              (std::vector<std::uint32_t>{BLKFILTER_REDIRECT_PAUSE, BLKFILTER_REDIRECT_RESUME,
                                          BLKFILTER_REDIRECT_CANCEL, BLKFILTER_REDIRECT_FINISH}));
}

TEST_F(RedirectTest, interposes) {
    const auto below = redirection.below();
    ASSERT_TRUE(below);
    EXPECT_EQ(below->name, "below-sda");
    EXPECT_EQ(below->device, (DeviceId{259, 3, 9}));
    EXPECT_EQ(kernel.below.flags, 0U);
    ASSERT_TRUE(redirection.start({.target = "/dev/null", .mode = Mode::only, .interposes = true}));
    EXPECT_EQ(kernel.started.flags, BLKFILTER_REDIRECT_INTERPOSE);
    ASSERT_TRUE(redirection.finish());
    EXPECT_EQ(kernel.plain_flags, 0U);
    ASSERT_TRUE(redirection.finish(Freeze::no));
    EXPECT_EQ(kernel.plain_flags, BLKFILTER_REDIRECT_NO_FREEZE);
    ASSERT_TRUE(redirection.withdraw_below());
    EXPECT_EQ(kernel.below.flags, BLKFILTER_REDIRECT_BELOW_WITHDRAW);
}

TEST_F(RedirectTest, cuts_over_within_limits) {
    EXPECT_EQ(redirection.cut_over({.held = 20ms, .dirty = 5s}).value(), 2ms);
    EXPECT_EQ(kernel.cut.limit_ms, 20U);
    EXPECT_EQ(kernel.cut.wait_ms, 5000U);
    EXPECT_EQ(redirection.cut_over({.held = -1ms}).error().code, ERANGE);
}

TEST_F(RedirectTest, compares) {
    const auto first = redirection.verify(0, 64);
    ASSERT_TRUE(first);
    EXPECT_EQ(first->different, 17U);
    EXPECT_EQ(first->next_sector, 128U);
    EXPECT_EQ(first->compared_bytes, 1000U);
    EXPECT_EQ(first->skipped_bytes, 24U);
    EXPECT_EQ(redirection.verify(first->next_sector, 64)->different, std::nullopt);
}

TEST(Redirect, errors_say_what_they_mean_here) {
    const auto message = [](int code, auto&& call) {
        const auto control = refusing_control(code);
        return call(Redirection{control, device}).error().message;
    };
    const std::string where = "4095:7: redirect: ";
    EXPECT_EQ(message(EINVAL, [](const auto& it) { return it.pause(); }),
              where + "nothing is being copied, or it is paused already");
    EXPECT_EQ(message(EINVAL, [](const auto& it) { return it.resume(); }), where + "it is not paused");
    EXPECT_EQ(message(EINVAL, [](const auto& it) { return it.cut_over(); }), where + "it is not ready");
    EXPECT_EQ(message(ETIMEDOUT, [](const auto& it) { return it.cut_over(); }),
              where + "it took too long, and is ready again: try again, or with longer limits");
    EXPECT_EQ(message(EBUSY, [](const auto& it) { return it.cancel(); }),
              where + "it is redirected, which cannot be cancelled");
    EXPECT_EQ(message(EBUSY, [](const auto& it) { return it.finish(); }),
              where + "somebody has the source open, and would get old data from one moment to the next");
    EXPECT_EQ(message(ENOENT, [](const auto& it) { return it.status(); }),
              "4095:7: redirect: command 1: the filter is not attached to the device");
}

TEST(Redirect, some_records_are_refused_for_good) {
    for (const int code : {ENODATA, EBADMSG, EPROTONOSUPPORT, ENOKEY, EXDEV, EALREADY, EUCLEAN})
        EXPECT_TRUE(says_never(code)) << code;
    for (const int code : {EAGAIN, EBUSY, ENODEV, ENOENT, ENOSPC, ETIMEDOUT, EIO})
        EXPECT_FALSE(says_never(code)) << code;
}

TEST(Redirect, states_and_modes_have_names) {
    EXPECT_EQ(to_string(State::created), "created");
    EXPECT_EQ(to_string(State::concluded), "concluded");
    EXPECT_EQ(to_string(static_cast<State>(99)), "unknown");
    EXPECT_EQ(to_string(Mode::write_blocking), "write-blocking");
    EXPECT_EQ(to_string(static_cast<Mode>(99)), "unknown");
    EXPECT_TRUE(is_over(State::failed));
    EXPECT_FALSE(is_over(State::aborting));
    EXPECT_TRUE(is_before_cut_over(State::pending));
    EXPECT_FALSE(is_before_cut_over(State::redirected));
}

} // namespace

} // namespace blkfilter::redirect
