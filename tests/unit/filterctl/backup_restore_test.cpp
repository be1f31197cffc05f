// SPDX-License-Identifier: MIT
#include "backup/program.hpp"
#include "backup_fixture.hpp"

#include <csignal>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <thread>

namespace filterctl::backup {

namespace {

TEST_F(Backup, restore_overwrites_nothing_unasked) {
    backup({"full", store(), "data"});
    const auto target = folder / "there";
    std::ofstream{target} << "mine";
    expect(5, "--force", {"restore", store(), target});
    EXPECT_EQ(text_in(target), "mine");
    EXPECT_EQ(backup({"restore", store(), target, "--force"}).code, ExitCode::done);
    EXPECT_EQ(text_in(target), text_in(snapshots->image()));
    expect(4, "no device 'log'", {"restore", store(), folder / "new", "--device", "log"});
    expect(4, "there is no backup 9", {"restore", store(), folder / "new", "--number", "9"});
}

TEST_F(Backup, a_restore_that_fails_leaves_no_file) {
    backup({"full", store(), "data"});
    // No file may become as large as the device.
    rlimit before{};
    ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &before), 0);
    const rlimit small{.rlim_cur = blocks / 2 * block_bytes, .rlim_max = before.rlim_max};
    const auto handler = std::signal(SIGXFSZ, SIG_IGN);
    ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &small), 0);
    expect(1, "File too large", {"restore", store(), folder / "target"});
    setrlimit(RLIMIT_FSIZE, &before);
    std::signal(SIGXFSZ, handler);
    EXPECT_FALSE(fs::exists(folder / "target"));
    EXPECT_FALSE(fs::exists(folder / "target.partial"));
}

TEST_F(Backup, restores_to_a_name_that_is_no_address) {
    backup({"full", store(), "data"});
    const auto before = fs::current_path();
    fs::current_path(folder.path());
    const auto ran = backup({"restore", store(), "nbd:there"});
    fs::current_path(before);
    EXPECT_EQ(ran.code, ExitCode::done) << ran.talk;
    EXPECT_EQ(text_in(folder / "nbd:there"), text_in(snapshots->image()));
}

TEST_F(Backup, restores_to_no_disk_that_is_not_there) {
    backup({"full", store(), "data"});
    expect(4, "there is no such device", {"restore", store(), "/dev/no-such-disk", "--force"});
    EXPECT_FALSE(fs::exists("/dev/no-such-disk.partial"));
    fs::create_symlink(folder / "nowhere", folder / "link");
    expect(4, "what it leads to", {"restore", store(), folder / "link", "--force"});
    EXPECT_TRUE(fs::is_symlink(folder / "link"));
}

TEST_F(Backup, restore_writes_to_no_file_of_somebody_else) {
    backup({"full", store(), "data"});
    const auto mine = folder / "mine";
    std::ofstream{mine} << "mine";
    fs::create_symlink(mine, folder / "target.partial");
    expect(5, "target.partial: is there", {"restore", store(), folder / "target"});
    EXPECT_EQ(backup({"restore", store(), folder / "target", "--force"}).code, ExitCode::done);
    EXPECT_EQ(text_in(mine), "mine");
    EXPECT_EQ(text_in(folder / "target"), text_in(snapshots->image()));
    EXPECT_EQ(fs::status(folder / "target").permissions(), fs::perms::owner_read | fs::perms::owner_write);
    EXPECT_FALSE(fs::exists(fs::symlink_status(folder / "target.partial")));
}

TEST_F(Backup, a_restore_of_what_is_damaged_leaves_no_file) {
    backup({"full", store(), "data"});
    const auto first = fs::path{store()} / "0001/data.qcow2";
    fs::resize_file(first, fs::file_size(first) - block_bytes);
    expect(1, "is damaged", {"restore", store(), folder / "target"});
    EXPECT_FALSE(fs::exists(folder / "target"));
    EXPECT_FALSE(fs::exists(folder / "target.partial"));
}

TEST(BackupProgram, says_what_failed) {
    EXPECT_EQ(run_program({"echo", "yes"}).value(), "yes\n");
    EXPECT_EQ(run_program({"sh", "-c", "echo one >&2; echo two >&2; exit 3"}).error().message,
              "sh has failed: two");
    EXPECT_NE(run_program({"no-such-program"}).error().message.find("is not installed"), std::string::npos);
}

TEST(BackupProgram, ends_when_it_is_interrupted) {
    const Interruption interruption;
    std::jthread later{[] {
        std::this_thread::sleep_for(std::chrono::milliseconds{300});
        kill(getpid(), SIGTERM);
    }};
    const auto begin = std::chrono::steady_clock::now();
    EXPECT_EQ(run_program({"sleep", "600"}).error().message, "interrupted");
    EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds{60});
}

/// Of a child that is killed while its program runs; the program says who it is.
void run_until_killed(const std::string& file) {
    std::ignore = run_program(
        {"sh", "-c", "echo $$ > " + file + ".new; mv " + file + ".new " + file + "; exec sleep 600"});
    _exit(EXIT_SUCCESS);
}

TEST(BackupProgram, ends_with_us) {
    const blkfilter::test::Folder folder;
    const std::string file = folder / "pid";
    const pid_t child = fork();
    if (child == 0)
        run_until_killed(file);
    while (!fs::exists(file))
        std::this_thread::sleep_for(std::chrono::milliseconds{10});
    const pid_t program = std::stoi(text_in(file));
    EXPECT_EQ(kill(program, 0), 0);
    kill(child, SIGKILL);
    waitpid(child, nullptr, 0);
    const auto is_running = [&] {
        const auto state = text_in(fmt::format("/proc/{}/stat", program));
        return !state.empty() && state.find(") Z") == std::string::npos;
    };
    for (int i = 0; i < 6000 && is_running(); ++i)
        std::this_thread::sleep_for(std::chrono::milliseconds{10});
    EXPECT_FALSE(is_running());
}

} // namespace

} // namespace filterctl::backup
