// SPDX-License-Identifier: MIT
#include "redirect/request.hpp"

#include "../fake_host.hpp"
#include "fake_redirect.hpp"

#include <gtest/gtest.h>

namespace filterd::redirects {

namespace {

using blkfilter::redirect::Mode;
using Arguments = std::map<std::string, std::string>;

class RedirectRequest : public testing::Test {
protected:
    RedirectRequest() { detail::services = test::fake_host(); }

    blkfilter::redirect::StartRequest request(Arguments arguments) {
        fake.arguments = std::move(arguments);
        return start_request_of(Call{fake.handle()});
    }

    /// The one line that is said of it.
    std::string refusal(Arguments arguments) {
        try {
            std::ignore = request(std::move(arguments));
        } catch (const Failure& failure) {
            EXPECT_EQ(failure.code(), EINVAL);
            return failure.what();
        }
        return "";
    }

    test::FakeCall fake;
};

TEST_F(RedirectRequest, has_all_that_is_given) {
    const auto wanted = request({{"target", "/dev/disk/by-id/x"},
                                 {"mode", "background"},
                                 {"rate", "1000"},
                                 {"in-flight", "64"},
                                 {"no-record", "1"}});
    EXPECT_EQ(wanted.target, "/dev/disk/by-id/x");
    EXPECT_EQ(wanted.mode, Mode::background);
    EXPECT_EQ(wanted.bytes_per_second, 1000U);
    EXPECT_EQ(wanted.in_flight, 64U);
    EXPECT_TRUE(wanted.no_record);
    EXPECT_FALSE(wanted.range);
    EXPECT_FALSE(wanted.id.is_null());
}

TEST_F(RedirectRequest, has_what_is_usual) {
    const auto wanted = request({{"target", "sdb"}, {"no-record", "1"}});
    EXPECT_EQ(wanted.target, "/dev/sdb");
    EXPECT_EQ(wanted.mode, Mode::write_blocking);
    EXPECT_EQ(wanted.bytes_per_second, 0U);
    EXPECT_EQ(wanted.in_flight, 0U);
}

TEST_F(RedirectRequest, must_say_that_nothing_is_on_record) {
    EXPECT_EQ(
        refusal({{"target", "sdb"}}),
        "say --no-record: how far a migration is, is not kept on stable storage, so that a power loss or a "
        "restart before its cut-over means starting again");
}

TEST_F(RedirectRequest, of_a_redirect_alone_has_nothing_of_a_migration) {
    EXPECT_EQ(request({{"target", "sdb"}, {"mode", "only"}}).mode, Mode::only);
    for (const std::string name : {"rate", "in-flight", "auto-cutover", "no-record"})
        EXPECT_EQ(refusal({{"target", "sdb"}, {"mode", "only"}, {name, "1"}}),
                  "--" + name + " is for migrations: with --mode only nothing is copied");
}

TEST_F(RedirectRequest, has_copies_in_flight_as_the_kernel_takes_them) {
    for (const std::string number : {"0", "65"})
        EXPECT_EQ(refusal({{"target", "sdb"}, {"no-record", "1"}, {"in-flight", number}}),
                  "--in-flight must be from 1 to 64, not " + number);
    fake.arguments = {{"rate", "0"}, {"in-flight", "1"}};
    const auto settings = settings_of(Call{fake.handle()});
    EXPECT_EQ(settings.bytes_per_second, 0U);
    EXPECT_EQ(settings.in_flight, 1U);
    EXPECT_FALSE(settings.mode);
}

TEST_F(RedirectRequest, needs_the_filter) {
    test::FakeRedirect kernel;
    const auto control = kernel.control();
    const Redirection redirection{control, {8, 0, 1}};
    EXPECT_NO_THROW(expect_attached(redirection, {.name = "sda"}));
    kernel.attached = false;
    try {
        expect_attached(redirection, {.name = "sda"});
        FAIL();
    } catch (const Failure& failure) {
        EXPECT_EQ(failure.code(), ENOENT);
        EXPECT_STREQ(failure.what(),
                     "sda has no filter redirect: declare it in the configuration, or filterctl "
                     "stack attach sda redirect");
    }
}

} // namespace

} // namespace filterd::redirects
