// SPDX-License-Identifier: MIT
/// What becomes of a backup that does not go straight through, and of its snapshot.
#include "backup/copy.hpp"
#include "backup/program.hpp"
#include "backup_fixture.hpp"

#include <csignal>
#include <sys/wait.h>
#include <unistd.h>

namespace filterctl::backup {

namespace {

TEST_F(Backup, goes_on_where_it_was_interrupted) {
    const auto was = text_in(snapshots->image());
    interrupt({"full", store(), "data"});
    expect(5, "was interrupted", {"full", store(), "data"});
    const auto state = Store::open(store(), false)->read_partial();
    ASSERT_TRUE(state);
    EXPECT_EQ(state->offset_bytes, blocks / 2 * block_bytes);
    // Other data in what was copied already: it is not read again.
    snapshots->write_all();
    snapshots->write(1, '!');
    EXPECT_EQ(backup({"resume", store()}).code, ExitCode::done);
    EXPECT_TRUE(nothing_is_left());
    EXPECT_EQ(restored("1"), was);
    expect(4, "no backup was interrupted", {"resume", store()});
}

TEST_F(Backup, an_increment_goes_on_too) {
    backup({"full", store(), "data"});
    for (const std::size_t block : {1U, 5U, 40U, 50U})
        snapshots->write(block, 'X');
    const auto was = text_in(snapshots->image());
    interrupt({"incremental", store()});
    EXPECT_EQ(Store::open(store(), false)->read_partial()->offset_bytes, 6 * block_bytes);
    std::ofstream{snapshots->image(), std::ios::binary} << was;
    EXPECT_EQ(backup({"resume", store()}).code, ExitCode::done);
    EXPECT_EQ(restored("2"), was);
}

TEST_F(Backup, is_not_resumed_from_another_snapshot) {
    fs::resize_file(snapshots->image(), block_bytes);
    backup({"full", store(), "data"});
    snapshots->number = 7;
    expect(5, "is another one", {"resume", store()});
    snapshots->live.clear();
    expect(5, "its snapshot is gone", {"resume", store()});
    EXPECT_EQ(backup({"discard", store()}).code, ExitCode::done);
    EXPECT_TRUE(nothing_is_left());
}

TEST_F(Backup, is_not_resumed_on_another_parent) {
    backup({"full", store(), "data"});
    snapshots->write(60, 'X');
    interrupt({"incremental", store()});
    const auto manifest = fs::path{store()} / "0001/manifest.json";
    std::ofstream{manifest, std::ios::app} << '\n';
    expect(5, "backup 1 is not the one that it is made on", {"resume", store()});
    fs::remove(manifest);
    expect(5, "cannot go on", {"resume", store()});
    EXPECT_EQ(backup({"discard", store()}).code, ExitCode::done);
    EXPECT_TRUE(nothing_is_left());
}

// --- its snapshot ---

TEST_F(Backup, what_is_known_of_a_snapshot_stays_as_long_as_it) {
    interrupt({"full", store(), "data"});
    snapshots->refuses = "destroy";
    expect(1, "because", {"discard", store()});
    EXPECT_TRUE(has_partial());
    snapshots->refuses.clear();
    EXPECT_EQ(backup({"discard", store()}).code, ExitCode::done);
    EXPECT_TRUE(nothing_is_left());
    // Also when it fails before the copy.
    snapshots->generation_now = "no id";
    snapshots->refuses = "destroy";
    expect(1, "may stay", {"full", store(), "data"});
    EXPECT_TRUE(has_partial());
    snapshots->refuses.clear();
    EXPECT_EQ(backup({"discard", store()}).code, ExitCode::done);
    EXPECT_TRUE(nothing_is_left());
}

TEST_F(Backup, one_that_may_still_come_is_waited_for) {
    interrupt({"full", store(), "data"});
    snapshots->live.clear();
    snapshots->jobs = {{{"what", "snapshot create"}, {"state", "done"}},
                       {{"what", "snapshot create"}, {"state", "running"}}};
    expect(5, "a snapshot is just being made", {"discard", store()});
    EXPECT_TRUE(has_partial());
    snapshots->jobs.erase(1);
    EXPECT_EQ(backup({"discard", store()}).code, ExitCode::done);
    EXPECT_TRUE(nothing_is_left());
}

TEST_F(Backup, a_filterd_that_ends_while_it_makes_the_snapshot_leaves_nothing) {
    snapshots->breaks_at = "create";
    expect(3, "closed the connection", {"full", store(), "data"});
    EXPECT_TRUE(nothing_is_left());
}

TEST_F(Backup, a_filterd_that_was_started_again_is_asked_again) {
    EXPECT_EQ(backup({"full", store(), "data"}).code, ExitCode::done);
    for (const char* command : {"images", "changes", "destroy"}) {
        snapshots->breaks_at = command;
        const auto ran = backup({"incremental", store()});
        EXPECT_EQ(ran.code, ExitCode::done) << command << ran.talk;
        EXPECT_TRUE(snapshots->breaks_at.empty()) << command;
        EXPECT_TRUE(nothing_is_left()) << command;
    }
}

TEST_F(Backup, a_filterd_without_its_plugin_knows_nothing_of_snapshots) {
    interrupt({"full", store(), "data"});
    snapshots->without_plugin = 3;
    EXPECT_EQ(backup({"discard", store()}).code, ExitCode::done);
    EXPECT_TRUE(nothing_is_left());
    interrupt({"full", store(), "data"});
    snapshots->write_all();
    snapshots->without_plugin = 2;
    EXPECT_EQ(backup({"resume", store()}).code, ExitCode::done);
    EXPECT_TRUE(nothing_is_left());
}

TEST_F(Backup, a_snapshot_that_stayed_is_ended_by_the_next_backup) {
    snapshots->refuses = "destroy";
    expect(0, "the snapshot of backup 1 may stay: because", {"full", store(), "data"});
    EXPECT_EQ(snapshots->live.size(), 1U);
    EXPECT_TRUE(fs::exists(fs::path{store()} / "0001/state.json"));
    snapshots->refuses.clear();
    EXPECT_EQ(backup({"incremental", store()}).code, ExitCode::done);
    EXPECT_TRUE(nothing_is_left());
    EXPECT_FALSE(fs::exists(fs::path{store()} / "0001/state.json"));
    EXPECT_EQ(backup({"verify", store()}).code, ExitCode::done);
}

// --- several devices ---

TEST_F(Backup, of_a_group_each_device_has_its_file) {
    snapshots->add("log");
    EXPECT_EQ(backup({"full", store(), "--group", "database"}).code, ExitCode::done);
    EXPECT_EQ(snapshots->asked_for, "database");
    const auto first = text_in(snapshots->image("log"));
    snapshots->write(2, 'X');
    snapshots->write(3, 'Y', "log");
    const auto ran = backup({"--json", "incremental", store()});
    EXPECT_EQ(Json::parse(ran.output)["backups"].size(), 2U) << ran.talk;
    EXPECT_EQ(snapshots->asked_for, "database");
    EXPECT_EQ(restored("1", "log"), first);
    EXPECT_EQ(restored("2", "log"), text_in(snapshots->image("log")));
    EXPECT_EQ(restored("2", "data"), text_in(snapshots->image("data")));
    expect(2, "backup 2 has 2 devices: name one by --device", {"restore", store(), folder / "target"});
    snapshots->live.insert("held");
    expect(2, "snapshot held has 2 devices: name one by --device",
           {"serve", "held", "--listen", folder / "socket"});
    expect(4, "snapshot held has no device 'x'",
           {"serve", "held", "--device", "x", "--listen", folder / "socket"});
}

TEST_F(Backup, devices_without_a_group_are_named_again) {
    snapshots->add("log");
    EXPECT_EQ(backup({"full", store(), "data", "log"}).code, ExitCode::done);
    EXPECT_EQ(backup({"incremental", store()}).code, ExitCode::done);
    EXPECT_EQ(snapshots->asked_for, R"(["data","log"])");
}

TEST_F(Backup, a_group_that_has_changed_needs_a_full_one) {
    backup({"full", store(), "--group", "database"});
    snapshots->add("log");
    expect(5, "log is not in backup 1", {"incremental", store()});
    EXPECT_TRUE(nothing_is_left());
    fs::create_directory(folder / "second");
    backup({"full", folder / "second", "--group", "database"});
    snapshots->devices.erase("log");
    expect(5, "backup 1 has devices that group 'database' does not have any more",
           {"incremental", folder / "second"});
    EXPECT_TRUE(nothing_is_left());
}

TEST_F(Backup, of_several_devices_what_is_whole_is_not_copied_again) {
    snapshots->add("log");
    const auto was = text_in(snapshots->image("data"));
    interrupt({"full", store(), "--group", "database"}, "log");
    const auto state = Store::open(store(), false)->read_partial();
    EXPECT_NE(state->manifest.find("data")->file_bytes, 0U);
    EXPECT_EQ(state->manifest.find("log")->file_bytes, 0U);
    snapshots->write(1, '!');
    snapshots->write_all("log");
    EXPECT_EQ(backup({"resume", store()}).code, ExitCode::done);
    EXPECT_EQ(restored("1", "data"), was);
    EXPECT_EQ(restored("1", "log"), text_in(snapshots->image("log")));
}

// --- copying ---

class BackupCopy : public testing::Test {
protected:
    BackupCopy() {
        blkfilter::test::write_file(image(), std::string(4 * mib, 'x'));
        EXPECT_TRUE(
            run_program({"qemu-img", "create", "-q", "-f", "qcow2", file(), std::to_string(4 * mib)}));
    }

    [[nodiscard]] std::string image() const { return folder / "image"; }
    [[nodiscard]] std::string file() const { return folder / "file.qcow2"; }

    static constexpr std::uint64_t mib = 1 << 20;
    blkfilter::test::Folder folder;
};

TEST_F(BackupCopy, copies_its_ranges_from_where_it_is_told_and_says_how_far_it_is) {
    auto target = NbdTarget::open(file());
    ASSERT_TRUE(target) << target.error().message;
    std::vector<std::uint64_t> told;
    const CopyCallbacks callbacks{.progress =
                                      [&](std::uint64_t bytes) {
                                          told.push_back(bytes);
                                          return true;
                                      },
                                  .reached = [](std::uint64_t) { return Result<void>{}; }};
    const auto copied =
        copy_ranges({.image = image(),
                     .ranges = {{.offset = 0, .length = mib}, {.offset = 2 * mib, .length = 2 * mib}},
                     .begin_bytes = 3 * mib},
                    *target, callbacks);
    EXPECT_EQ(copied.value(), 3 * mib);
    // Of what was copied before nothing is read.
    EXPECT_EQ(told, std::vector<std::uint64_t>{3 * mib});
    ASSERT_TRUE(target->close());
    ASSERT_TRUE(run_program({"qemu-img", "convert", "-f", "qcow2", "-O", "raw", file(), folder / "raw"}));
    EXPECT_EQ(text_in(folder / "raw"), std::string(3 * mib, '\0') + std::string(mib, 'x'));
}

TEST_F(BackupCopy, when_it_is_ended_what_was_copied_is_noted) {
    auto target = NbdTarget::open(file());
    ASSERT_TRUE(target) << target.error().message;
    std::uint64_t reached{};
    const CopyCallbacks callbacks{.progress = [](std::uint64_t bytes) { return bytes < 2 * mib; },
                                  .reached =
                                      [&](std::uint64_t offset) {
                                          reached = offset;
                                          return Result<void>{};
                                      }};
    const auto copied =
        copy_ranges({.image = image(), .ranges = {{.offset = 0, .length = 4 * mib}}}, *target, callbacks);
    ASSERT_FALSE(copied);
    EXPECT_EQ(copied.error().message, "interrupted");
    EXPECT_EQ(reached, 2 * mib);
}

/// As a terminal does by Ctrl-C: all of the process group is told.
TEST_F(BackupCopy, the_server_outlives_a_signal_to_all) {
    const auto child = fork();
    if (child == 0) {
        setpgid(0, 0);
        const Interruption interruption;
        auto target = NbdTarget::open(file());
        const std::vector<std::byte> data(mib, std::byte{'y'});
        kill(0, SIGINT);
        kill(0, SIGTERM);
        usleep(300'000);
        const bool good = target && Interruption::came() && target->write(0, data) && target->close();
        _exit(good ? 0 : 1);
    }
    int status{};
    ASSERT_EQ(waitpid(child, &status, 0), child);
    EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    ASSERT_TRUE(run_program({"qemu-img", "convert", "-f", "qcow2", "-O", "raw", file(), folder / "raw"}));
    EXPECT_TRUE(text_in(folder / "raw").starts_with(std::string(mib, 'y')));
}

} // namespace

} // namespace filterctl::backup
