// SPDX-License-Identifier: MIT
#include "fake_kernel.hpp"

#include <cerrno>
#include <gtest/gtest.h>

namespace blkfilter {

namespace {

using test::at;
using test::control_of;
using test::refusing_control;

/// Keeps the one rule that was added, and lists it.
struct RuleKernel {
    blkfilter_rule rule{};

    int operator()(unsigned long request, void* argument) {
        if (request == BLKFILTER_IOC_RULE_ADD) {
            auto& raw = *static_cast<blkfilter_rule*>(argument);
            EXPECT_EQ(raw.id, 0U);
            raw.id = 3;
            rule = raw;
            return 0;
        }
        auto& list = *static_cast<blkfilter_list*>(argument);
        EXPECT_EQ(request, BLKFILTER_IOC_RULE_LIST);
        *at<blkfilter_rule>(list.entries) = rule;
        list.count = 1;
        return 0;
    }
};

TEST(Rules, what_is_added_is_listed) {
    RuleKernel kernel;
    const auto control = control_of(std::ref(kernel));
    RuleRequest request;
    request.keys.kind = RuleKeys::Kind::partition;
    request.keys.major = 254;
    request.keys.name = "vd*";
    request.keys.driver = "virtio_blk";
    request.keys.partuuid = "6F1C2A10-03";
    request.keys.partlabel = "Data";
    request.keys.wwid = "AB01";
    request.entries.resize(1);
    request.entries[0].name = "acme";
    request.provisional = std::chrono::seconds{5};
    EXPECT_EQ(control.add_rule(request), 3U);
    EXPECT_EQ(kernel.rule.flags, BLKFILTER_RULE_KEYS & ~BLKFILTER_RULE_DISK);

    const auto rules = control.rules();
    ASSERT_TRUE(rules);
    ASSERT_EQ(rules->size(), 1U);
    const auto& rule = rules->front();
    EXPECT_EQ(rule.id, 3U);
    EXPECT_EQ(rule.keys.kind, RuleKeys::Kind::partition);
    EXPECT_EQ(rule.keys.major, 254U);
    EXPECT_EQ(rule.keys.name, "vd*");
    EXPECT_EQ(rule.keys.driver, "virtio_blk");
    // The kernel compares these two with its own lower case form.
    EXPECT_EQ(rule.keys.partuuid, "6f1c2a10-03");
    EXPECT_EQ(rule.keys.wwid, "ab01");
    EXPECT_EQ(rule.keys.partlabel, "Data");
    EXPECT_EQ(rule.entries, 1U);
    EXPECT_EQ(rule.provisional, std::chrono::seconds{5});
}

TEST(Rules, a_key_that_is_not_given_is_not_compared) {
    RuleKernel kernel;
    const auto control = control_of(std::ref(kernel));
    RuleRequest request;
    request.keys.name = "";
    EXPECT_TRUE(control.add_rule(request));
    EXPECT_EQ(kernel.rule.flags, BLKFILTER_RULE_NAME);
    EXPECT_EQ(control.rules()->front().keys.name, "");
    EXPECT_FALSE(control.rules()->front().keys.driver);
}

TEST(Rules, errors_are_explained) {
    RuleRequest request;
    EXPECT_EQ(refusing_control(EINVAL).add_rule(request).error().message,
              "rule: refused: it needs at least one key and one filter");
    request.keys.driver = std::string(32, 'x');
    EXPECT_EQ(refusing_control(EIO).add_rule(request).error().code, ENAMETOOLONG);
    EXPECT_EQ(refusing_control(ENOENT).remove_rule(5).error().message, "rule 5: no such rule");
}

} // namespace

} // namespace blkfilter
