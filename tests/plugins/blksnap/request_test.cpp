// SPDX-License-Identifier: MIT
#include "blksnap/request.hpp"

#include "../../folder.hpp"
#include "../fake_host.hpp"

#include <cerrno>
#include <functional>
#include <gtest/gtest.h>

namespace filterd::snapshots {

namespace {

int code_of(const std::function<void()>& action) {
    try {
        action();
    } catch (const Failure& failure) {
        return failure.code();
    }
    return 0;
}

class BlksnapRequest : public testing::Test {
protected:
    BlksnapRequest() { detail::services = test::fake_host(); }

    Request request() { return request_of(Call{fake.handle()}); }

    blkfilter::test::Folder folder;
    test::FakeCall fake;
};

TEST_F(BlksnapRequest, the_command_goes_before_the_configuration) {
    fake.settings = {{"storage.path", "/configured"}, {"storage.limit", "3000000000"},
                     {"storage.step", "5000000"},     {"storage.warn-thousandths", "500"},
                     {"group", "database"},           {"hooks.before", "stop"},
                     {"hooks.after", "go"},           {"hooks.seconds", "7"}};
    auto wanted = request();
    EXPECT_EQ(wanted.label, "");
    EXPECT_EQ(wanted.group, "database");
    EXPECT_EQ(wanted.policy.path, "/configured");
    EXPECT_EQ(wanted.policy.limit_bytes, 3000000000U);
    EXPECT_EQ(wanted.policy.step_bytes, 5000000U);
    EXPECT_EQ(wanted.policy.warn_thousandths, 500U);
    EXPECT_EQ(wanted.hooks.before, "stop");
    EXPECT_EQ(wanted.hooks.after, "go");
    EXPECT_EQ(wanted.hooks.seconds, 7U);
    fake.arguments = {{"label", "one"}, {"storage", "/given"}, {"limit", "4000000000"}, {"step", "1"}};
    wanted = request();
    EXPECT_EQ(wanted.label, "one");
    EXPECT_EQ(wanted.policy.path, "/given");
    EXPECT_EQ(wanted.policy.limit_bytes, 4000000000U);
    EXPECT_EQ(wanted.policy.step_bytes, mebibyte);
}

TEST_F(BlksnapRequest, without_a_limit_it_is_a_part_of_the_file_system) {
    fake.arguments = {{"storage", (folder / "storage").string()}};
    const auto usual = request().policy;
    EXPECT_GT(usual.limit_bytes, 0U);
    EXPECT_EQ(usual.step_bytes, 1024 * mebibyte);
    EXPECT_EQ(usual.warn_thousandths, 800U);
    EXPECT_FALSE(usual.is_device);
    fake.settings = {{"storage.limit-thousandths", "400"}};
    EXPECT_EQ(request().policy.limit_bytes, 2 * usual.limit_bytes);
}

TEST_F(BlksnapRequest, what_cannot_be_meant_is_refused) {
    fake.arguments = {{"storage", "relative"}};
    EXPECT_EQ(code_of([&] { request(); }), EINVAL);
    fake.arguments = {{"storage", "/dev/null/x"}};
    EXPECT_ANY_THROW(request());
    fake.arguments = {{"storage", "/x"}, {"limit", "1000000000"}};
    fake.devices = {"no-such-device"};
    EXPECT_NE(code_of([&] { request(); }), 0);
}

TEST(BlksnapMembers, are_told_apart) {
    std::vector<Member> devices{{.name = "sda", .declared = "data"},
                                {.name = "sdb", .declared = "many"},
                                {.name = "sdc", .declared = "many"},
                                {.name = "cciss!c0d0", .declared = "cciss!c0d0"}};
    tell_apart(devices);
    std::vector<std::string> names;
    for (const auto& one : devices)
        names.push_back(one.declared);
    EXPECT_EQ(names, (std::vector<std::string>{"data", "sdb", "sdc", "cciss-c0d0"}));
}

TEST(BlksnapMembers, are_found_by_either_name) {
    Record record{.label = "one", .devices = {{.name = "sda", .declared = "data"}}};
    EXPECT_EQ(member_of(record, "").name, "sda");
    EXPECT_EQ(member_of(record, "data").name, "sda");
    EXPECT_EQ(member_of(record, "sda").name, "sda");
    EXPECT_EQ(code_of([&] { member_of(record, "sdb"); }), ENOENT);
    record.devices.push_back({.name = "sdb", .declared = "log"});
    EXPECT_EQ(member_of(record, "log").name, "sdb");
    EXPECT_EQ(code_of([&] { member_of(record, ""); }), EINVAL);
}

TEST_F(BlksnapRequest, the_only_content_is_meant_or_the_partition_that_is_named) {
    const Call call{fake.handle()};
    EXPECT_EQ(choose({{.type = "ext4"}}, "/dev/image", call).type, "ext4");
    const std::vector<Content> two{{.partition = 1, .type = "vfat"}, {.partition = 3}};
    EXPECT_EQ(code_of([&] { choose(two, "/dev/image", call); }), EINVAL);
    fake.arguments = {{"partition", "3"}};
    EXPECT_EQ(choose(two, "/dev/image", call).partition, 3U);
    fake.arguments = {{"partition", "2"}};
    EXPECT_EQ(code_of([&] { choose(two, "/dev/image", call); }), EINVAL);
}

} // namespace

} // namespace filterd::snapshots
