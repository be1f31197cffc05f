// SPDX-License-Identifier: MIT
/// @file
/// Backups that ask cbt-only for what has changed.
#include "backup_fixture.hpp"

namespace filterctl::backup {

namespace {

class BackupByCheckpoints : public Backup {
protected:
    BackupByCheckpoints() {
        EXPECT_EQ(backup({"full", store(), "data", "--checkpoints"}).code, ExitCode::done);
        snapshots->write(1, 'X');
    }

    [[nodiscard]] const std::set<std::string>& names() const { return snapshots->checkpoints["data"]; }

    [[nodiscard]] Json last() {
        return Json::parse(text_in(fs::path{store()} / "0002/manifest.json"))["devices"][0];
    }
};

TEST_F(BackupByCheckpoints, do_not_care_for_the_history_of_blksnap) {
    const auto first = names();
    ASSERT_EQ(first.size(), 1U);
    snapshots->generation_now = "ac000000-0000-0000-0000-000000000000";
    const auto ran = backup({"--json", "incremental", store()});
    ASSERT_EQ(ran.code, ExitCode::done) << ran.talk;
    EXPECT_EQ(number_of(Json::parse(ran.output)["backups"][0], "copied_bytes"), block_bytes);
    EXPECT_EQ(restored("2"), text_in(snapshots->image()));
    EXPECT_TRUE(snapshots->base.empty()) << "blksnap was asked";
    // Only the last one is needed.
    ASSERT_EQ(names().size(), 1U);
    EXPECT_NE(names(), first);
    EXPECT_EQ(text_of(last(), "checkpoint"), *names().begin());
    EXPECT_TRUE(nothing_is_left());
}

TEST_F(BackupByCheckpoints, a_checkpoint_that_is_gone_needs_a_full_one) {
    snapshots->checkpoints.clear();
    expect(5, "no increment fits on backup 1: its checkpoint was deleted", {"incremental", store()});
    EXPECT_TRUE(names().empty()) << "that of the failed one stays";
    EXPECT_TRUE(nothing_is_left());
}

TEST_F(BackupByCheckpoints, where_the_tracker_has_no_such_instant_nothing_is_made) {
    snapshots->refuses = "checkpoint";
    expect(5, "cbt-only has no checkpoint of the snapshot's instant: because", {"incremental", store()});
    EXPECT_EQ(names().size(), 1U);
    EXPECT_TRUE(nothing_is_left());
}

TEST_F(BackupByCheckpoints, are_resumed_and_discarded) {
    const auto first = names();
    snapshots->write(blocks - 1, 'Y');
    interrupt({"incremental", store()});
    EXPECT_EQ(names().size(), 2U);
    EXPECT_EQ(backup({"discard", store()}).code, ExitCode::done);
    EXPECT_EQ(names(), first);
    snapshots->write_all();
    snapshots->write(1, 'X');
    snapshots->write(blocks - 1, 'Y');
    const auto was = text_in(snapshots->image());
    interrupt({"incremental", store()});
    snapshots->write_all();
    snapshots->write(1, 'X');
    snapshots->write(blocks - 1, 'Y');
    const auto ran = backup({"resume", store()});
    EXPECT_EQ(ran.code, ExitCode::done) << ran.talk;
    EXPECT_EQ(restored("2"), was);
    EXPECT_EQ(names().size(), 1U);
}

} // namespace

} // namespace filterctl::backup
