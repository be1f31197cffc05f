// SPDX-License-Identifier: MIT
#include "redirect/verify.hpp"

#include "../fake_host.hpp"
#include "fake_redirect.hpp"

#include <gtest/gtest.h>

namespace filterd::redirects {

namespace {

class RedirectVerify : public testing::Test {
protected:
    RedirectVerify() {
        detail::services = test::fake_host();
        kernel.status.state = BLKFILTER_REDIRECT_READY;
        kernel.status.sectors = 1 << 18; // two pieces of 64 MiB
        kernel.status.id[0] = 1;
    }

    test::FakeCall ask(std::optional<std::string> cursor = {}) {
        const auto control = kernel.control();
        const Redirection redirection{control, {8, 0, 1}};
        test::FakeCall fake{.device = "sda"};
        if (cursor)
            fake.arguments["cursor"] = *cursor;
        Call call{fake.handle()};
        try {
            answer_verify(call, redirection);
        } catch (const Failure& failure) {
            fake.code = failure.code();
            fake.failure = failure.what();
        }
        return fake;
    }

    test::FakeRedirect kernel;
};

TEST_F(RedirectVerify, says_that_they_are_equal) {
    kernel.skipped = 512;
    const auto answer = ask();
    ASSERT_EQ(answer.records.size(), 1U) << answer.failure;
    EXPECT_EQ(answer.records[0], (nlohmann::json{{"result", "equal"},
                                                 {"compared_bytes", 128 << 20},
                                                 {"skipped_bytes", 1024},
                                                 {"asked_again", 0}}));
    EXPECT_EQ(answer.thousandths, 1000U);
    EXPECT_EQ(kernel.count(BLKFILTER_REDIRECT_VERIFY), 2U);
}

TEST_F(RedirectVerify, reads_again_before_it_says_that_they_differ) {
    kernel.different = {1000}; // the first time only
    const auto answer = ask();
    ASSERT_EQ(answer.records.size(), 1U) << answer.failure;
    EXPECT_EQ(answer.records[0]["asked_again"], 1);
}

TEST_F(RedirectVerify, counts_what_differs_again_and_again) {
    kernel.different = {1000, 1000, 1000, 1000, 200000, 200000, 200000, 200000};
    const auto answer = ask();
    EXPECT_EQ(answer.code, EIO);
    EXPECT_EQ(
        answer.failure,
        "sda: source and target differ in 2 regions, the first at byte 512000; 128.0 MiB were compared");
    EXPECT_TRUE(answer.records.empty());
}

TEST_F(RedirectVerify, goes_on_where_it_was) {
    const auto answer = ask(Findings{.sector = 1 << 17, .compared_bytes = 7, .asked_again = 3}.to_string());
    ASSERT_EQ(answer.records.size(), 1U) << answer.failure;
    EXPECT_EQ(answer.records[0]["compared_bytes"], (64 << 20) + 7);
    EXPECT_EQ(answer.records[0]["asked_again"], 3);
    EXPECT_EQ(kernel.count(BLKFILTER_REDIRECT_VERIFY), 1U);
    for (const char* wrong : {"", "1", "1 2 3 4 5", "1 2 3 4 5 6 7", "a b c d e f"})
        EXPECT_EQ(ask(wrong).code, EINVAL) << wrong;
}

TEST_F(RedirectVerify, of_nothing_is_no_success) {
    kernel.status = {};
    const auto answer = ask();
    EXPECT_EQ(answer.code, ENOENT);
    EXPECT_EQ(answer.failure, "sda: nothing was started");
}

TEST_F(RedirectVerify, leaves_off_when_time_is_up) {
    const auto control = kernel.control();
    const Redirection redirection{control, {8, 0, 1}};
    Findings findings;
    EXPECT_FALSE(compare(redirection, redirection.status().value(), findings, {},
                         [](std::uint32_t, const std::string&) {}));
    EXPECT_EQ(findings.sector, 0U);
}

} // namespace

} // namespace filterd::redirects
