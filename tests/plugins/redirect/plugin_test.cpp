// SPDX-License-Identifier: MIT
/// The plugin redirect as filterd loads it, over a filter made here.
#include "../fake_host.hpp"
#include "fake_redirect.hpp"

#include <algorithm>
#include <cerrno>
#include <gtest/gtest.h>

namespace filterd {

namespace {

using test::FakeCall;

class RedirectPlugin : public testing::Test {
protected:
    static void SetUpTestSuite() {
        static const auto host = test::fake_host();
        plugin = test::plugin_of(REDIRECT);
        ASSERT_NE(plugin, nullptr);
        ASSERT_EQ(plugin->load(&host), 0);
    }

    FakeCall run(const char* name, std::map<std::string, std::string> arguments = {}) {
        FakeCall call{
            .arguments = std::move(arguments),
            .kernel = [this](std::uint32_t number, void* buffer, std::size_t size, std::size_t* length) {
                *length = size;
                return kernel.command(number, buffer);
            }};
        const auto* command = test::command_of(*plugin, name);
        const int result = command->run(call.handle());
        EXPECT_EQ(result, call.failure.empty() ? 0 : -1);
        return call;
    }

    static std::string options(const test::FakeConfig& config) {
        std::string options;
        test::reported().clear();
        plugin->options(reinterpret_cast<const filterd_node*>(&config),
                        reinterpret_cast<filterd_sink*>(&options));
        return options;
    }

    static inline const filterd_plugin* plugin;
    test::FakeRedirect kernel;
};

TEST_F(RedirectPlugin, has_its_commands) {
    EXPECT_STREQ(plugin->noun, "redirect");
    EXPECT_STREQ(plugin->module, "blkfilter-redirect");
    EXPECT_EQ(plugin->flags, FILTERD_KEEPS_HISTORY);
    EXPECT_NE(plugin->attached, nullptr);
    for (const char* name : {"start", "continue", "status", "list", "pause", "resume", "set-rate", "verify",
                             "cutover", "cancel", "finish", "below"})
        EXPECT_NE(test::command_of(*plugin, name), nullptr) << name;
    // Whoever migrates for hours is in nobody's way.
    for (const char* name : {"start", "continue", "verify", "cutover", "cancel", "pause", "finish"})
        EXPECT_EQ(test::command_of(*plugin, name)->flags & (FILTERD_JOB | FILTERD_BESIDE),
                  FILTERD_JOB | FILTERD_BESIDE)
            << name;
}

TEST_F(RedirectPlugin, sends_what_is_asked_for) {
    kernel.be(BLKFILTER_REDIRECT_RUNNING);
    EXPECT_EQ(run("pause").failure, "");
    EXPECT_EQ(run("resume").failure, "");
    EXPECT_EQ(run("set-rate", {{"rate", "1000"}, {"in-flight", "3"}}).failure, "");
    EXPECT_EQ(kernel.commands,
              (std::vector<std::uint32_t>{BLKFILTER_REDIRECT_PAUSE, BLKFILTER_REDIRECT_RESUME,
                                          BLKFILTER_REDIRECT_SET}));
    EXPECT_EQ(kernel.set.flags, BLKFILTER_REDIRECT_SET_RATE | BLKFILTER_REDIRECT_SET_IN_FLIGHT);
    EXPECT_EQ(kernel.set.rate, 1000U);
    EXPECT_EQ(kernel.set.in_flight, 3U);
}

TEST_F(RedirectPlugin, says_in_one_line_what_is_wrong) {
    EXPECT_TRUE(
        run("pause").failure.ends_with(": redirect: nothing is being copied, or it is paused already"));
    EXPECT_TRUE(run("resume").failure.ends_with(": redirect: it is not paused"));
    EXPECT_EQ(run("set-rate", {{"rate", "1"}, {"in-flight", "65"}}).failure,
              "--in-flight must be from 1 to 64, not 65");
    kernel.attached = false;
    const auto failed = run("pause");
    EXPECT_EQ(failed.code, ENOENT);
    EXPECT_TRUE(failed.failure.ends_with("nothing was started, or the filter is not attached to the device"));
    for (const char* name : {"start", "continue", "status", "cutover", "cancel", "finish"})
        EXPECT_NE(run(name, {{"target", "sdb"}, {"no-record", "1"}}).failure, "") << "no such disk: " << name;
    EXPECT_EQ(kernel.count(BLKFILTER_REDIRECT_START), 0U);
}

TEST_F(RedirectPlugin, a_target_of_the_configuration_is_a_node) {
    EXPECT_EQ(options({}), "");
    EXPECT_TRUE(test::reported().empty());
    EXPECT_EQ(options({{"target", "/dev/disk/by-id/x"}}), "") << "no option of the filter";
    EXPECT_TRUE(test::reported().empty());
    options({{"target", "sdb"}});
    EXPECT_EQ(test::reported(), std::vector<std::string>{"'target' must be a path in /dev, not 'sdb'"});
}

} // namespace

} // namespace filterd
