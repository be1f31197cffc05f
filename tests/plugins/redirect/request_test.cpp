// SPDX-License-Identifier: MIT
#include "redirect/request.hpp"

#include "../../folder.hpp"
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

    Wish wish(Arguments arguments) {
        fake.arguments = std::move(arguments);
        return wish_of(Call{fake.handle()}, {.dev = folder / "dev"});
    }

    blkfilter::redirect::StartRequest request(Arguments arguments) {
        return wish(std::move(arguments)).request;
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
    blkfilter::test::Folder folder;
};

TEST_F(RedirectRequest, has_all_that_is_given) {
    const auto wanted = request(
        {{"target", "/dev/disk/by-id/x"}, {"mode", "background"}, {"rate", "1000"}, {"in-flight", "64"}});
    EXPECT_EQ(wanted.target, "/dev/disk/by-id/x");
    EXPECT_EQ(wanted.mode, Mode::background);
    EXPECT_EQ(wanted.bytes_per_second, 1000U);
    EXPECT_EQ(wanted.in_flight, 64U);
    EXPECT_FALSE(wanted.range);
    EXPECT_FALSE(wanted.id.is_null());
}

TEST_F(RedirectRequest, has_what_is_usual) {
    const auto wanted = request({{"target", "sdb"}});
    EXPECT_EQ(wanted.target, "/dev/sdb");
    EXPECT_EQ(wanted.mode, Mode::write_blocking);
    EXPECT_EQ(wanted.bytes_per_second, 0U);
    EXPECT_EQ(wanted.in_flight, 0U);
}

TEST_F(RedirectRequest, has_a_place_for_the_record) {
    using Kind = Place::Kind;
    const auto place = [this](Arguments arguments) {
        arguments.emplace("target", "sdb");
        return wish(std::move(arguments)).place;
    };
    EXPECT_EQ(place({}), (Place{.kind = Kind::target}));
    EXPECT_EQ(place({{"no-record", "1"}}), (Place{.kind = Kind::none}));
    EXPECT_EQ(place({{"mode", "only"}}), (Place{.kind = Kind::none}));
    const auto file = (folder / "record").string();
    EXPECT_EQ(place({{"record", file}}), (Place{.kind = Kind::file, .path = file})) << "it is made";
    blkfilter::test::write_file(file, "");
    EXPECT_EQ(place({{"record", file}}), (Place{.kind = Kind::file, .path = file}));
    EXPECT_EQ(refusal({{"target", "sdb"}, {"record", "record"}}),
              "--record needs a whole path, from / on, not 'record'");
    EXPECT_EQ(refusal({{"target", "sdb"}, {"record", "/dev/null"}}),
              "/dev/null is neither a block device nor a file");
    EXPECT_EQ(refusal({{"target", "sdb"}, {"record", file}, {"no-record", "1"}}),
              "--record and --no-record exclude each other");
}

TEST_F(RedirectRequest, of_a_redirect_alone_has_nothing_of_a_migration) {
    EXPECT_EQ(request({{"target", "sdb"}, {"mode", "only"}}).mode, Mode::only);
    for (const std::string name : {"rate", "in-flight", "auto-cutover", "record", "no-record"})
        EXPECT_EQ(refusal({{"target", "sdb"}, {"mode", "only"}, {name, "1"}}),
                  "--" + name + " is for migrations: with --mode only nothing is copied");
}

TEST_F(RedirectRequest, may_give_up_atomic_writes) {
    for (const std::string mode : {"write-blocking", "only"}) {
        EXPECT_FALSE(request({{"target", "sdb"}, {"mode", mode}}).no_atomic_writes);
        EXPECT_TRUE(request({{"target", "sdb"}, {"mode", mode}, {"no-atomic-writes", "1"}}).no_atomic_writes);
    }
}

TEST_F(RedirectRequest, of_what_is_interposed_likewise) {
    const auto wanted = wish({{"target", "/dev/mapper/x"}, {"mode", "interpose"}});
    EXPECT_EQ(wanted.request.mode, Mode::only);
    EXPECT_TRUE(wanted.request.interposes);
    EXPECT_FALSE(request({{"target", "sdb"}, {"mode", "only"}}).interposes);
    EXPECT_EQ(refusal({{"target", "sdb"}, {"mode", "interpose"}, {"record", "/x"}}),
              "--record is for migrations: with --mode interpose nothing is copied");
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
