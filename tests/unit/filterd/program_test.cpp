// SPDX-License-Identifier: MIT
#include "plugin/program.hpp"

#include <cerrno>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <gtest/gtest.h>
#include <string>
#include <unistd.h>

namespace filterd::plugin {

namespace {

using std::chrono::milliseconds;

int run(const char* command, milliseconds limit = milliseconds{60'000}) {
    return run_shell(command, nullptr, limit);
}

TEST(Program, its_exit_status_is_told) {
    EXPECT_EQ(run("exit 0"), 0);
    EXPECT_EQ(run("exit 7"), 7);
    EXPECT_EQ(run("kill -KILL $$"), 128 + SIGKILL);
    EXPECT_EQ(run("no-such-program 2> /dev/null"), 127);
}

TEST(Program, has_our_environment_and_more) {
    setenv("PROGRAM_TEST", "ours", 1);
    const char* more[] = {"FILTERD_SNAPSHOT=one two", nullptr};
    EXPECT_EQ(run_shell(R"([ "$FILTERD_SNAPSHOT" = "one two" ] && [ "$PROGRAM_TEST" = ours ])", more,
                        milliseconds{60'000}),
              0);
}

TEST(Program, reads_nothing) {
    EXPECT_EQ(run("! read line"), 0);
}

TEST(Program, has_no_signal_blocked) {
    sigset_t all{};
    sigset_t before{};
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, &before);
    EXPECT_EQ(run("kill -TERM $$; sleep 60"), 128 + SIGTERM);
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

TEST(Program, one_that_takes_too_long_is_ended_with_all_that_it_has_started) {
    std::string name = "/tmp/program-test-XXXXXX";
    close(mkstemp(name.data()));
    const auto command = "sleep 1000 & echo $! > " + name + "; trap '' TERM; wait; sleep 1000";
    EXPECT_EQ(run(command.c_str(), milliseconds{500}), -ETIMEDOUT);
    pid_t child = 0;
    std::ifstream{name} >> child;
    ASSERT_GT(child, 0);
    // A zombie until somebody has waited for it.
    std::ifstream status{"/proc/" + std::to_string(child) + "/stat"};
    std::string pid;
    std::string program;
    std::string state;
    status >> pid >> program >> state;
    EXPECT_TRUE(state.empty() || state == "Z") << state;
    std::filesystem::remove(name);
}

} // namespace

} // namespace filterd::plugin
