// SPDX-License-Identifier: MIT
#include "backup/program.hpp"
#include "backup_fixture.hpp"

#include <sys/stat.h>

namespace filterctl::backup {

namespace {

TEST_F(Backup, full_and_increments_are_restored_as_they_were) {
    auto ran = backup({"full", store(), "data"});
    EXPECT_EQ(ran.code, ExitCode::done) << ran.talk;
    EXPECT_NE(ran.talk.find("warning: /data: btrfs"), std::string::npos);
    EXPECT_TRUE(nothing_is_left());
    std::vector<std::string> was{text_in(snapshots->image())};
    for (int i = 0; i < 3; ++i) {
        snapshots->devices.at("data").clear();
        // Data where zeroes were, other data, and zeroes where data was.
        snapshots->write(static_cast<std::size_t>(3 * i), 'X');
        snapshots->write(static_cast<std::size_t>(3 * i + 1), static_cast<char>('A' + i));
        snapshots->write(static_cast<std::size_t>(3 * i + 2), '\0');
        snapshots->write(blocks - 1, static_cast<char>('0' + i));
        was.push_back(text_in(snapshots->image()));
        ran = backup({"--json", "incremental", store()});
        EXPECT_EQ(ran.code, ExitCode::done) << ran.talk;
        EXPECT_EQ(number_of(Json::parse(ran.output)["backups"][0], "copied_bytes"), 4 * block_bytes);
        EXPECT_EQ(snapshots->base,
                  fmt::format("{}/{}/{}/{}", generation, i + 1, blocks * block_bytes, block_bytes));
    }
    EXPECT_TRUE(nothing_is_left());
    for (std::size_t i = 0; i < was.size(); ++i)
        EXPECT_EQ(restored(std::to_string(i + 1).c_str()), was[i]) << i;
    EXPECT_EQ(backup({"verify", store()}).code, ExitCode::done);
    EXPECT_EQ(Json::parse(backup({"--json", "list", store()}).output)["backups"].size(), 4U);
}

TEST_F(Backup, a_base_that_does_not_fit_is_refused_with_its_reason) {
    expect(5, "a full one is needed", {"incremental", store()});
    backup({"full", store(), "data"});
    snapshots->generation_now = "ac000000-0000-0000-0000-000000000000";
    expect(5, "its history has begun anew", {"incremental", store()});
    EXPECT_TRUE(nothing_is_left());
    snapshots->generation_now = generation;
    snapshots->number = 0;
    expect(5, "no increment fits on backup 1", {"incremental", store()});
    EXPECT_TRUE(nothing_is_left());
}

TEST_F(Backup, what_fails_before_the_copy_leaves_nothing) {
    expect(4, "make a folder", {"full", folder / "nowhere", "data"});
    expect(2, "a backup of what?", {"full", store()});
    for (const char* command : {"create", "images"}) {
        snapshots->refuses = command;
        expect(1, "because", {"full", store(), "data"});
        snapshots->refuses.clear();
        EXPECT_TRUE(nothing_is_left()) << command;
    }
    const auto nobody = (folder / "no-socket").string();
    EXPECT_EQ(test::run_words({"--socket", nobody, "backup", "full", store(), "data"}).code,
              ExitCode::unreachable);
    EXPECT_TRUE(nothing_is_left());
}

TEST_F(Backup, an_image_that_failed_is_no_backup) {
    snapshots->error = "No space left on device";
    expect(1, "not to be used any more", {"full", store(), "data"});
    EXPECT_FALSE(fs::exists(fs::path{store()} / "0001"));
    expect(5, "cannot go on", {"resume", store()});
    EXPECT_EQ(backup({"discard", store()}).code, ExitCode::done);
    EXPECT_TRUE(nothing_is_left());
}

TEST_F(Backup, damage_is_found) {
    backup({"full", store(), "data"});
    snapshots->write(1, 'X');
    backup({"incremental", store()});
    const auto first = fs::path{store()} / "0001/data.qcow2";
    const auto text = text_in(first);
    {
        std::fstream file{first, std::ios::binary | std::ios::in | std::ios::out};
        file.seekp(static_cast<std::streamoff>(text.size() - 10));
        file << 'x';
    }
    expect(1, "its checksum is another one", {"verify", store()});
    expect(1, "its checksum is another one", {"restore", store(), folder / "target"});
    EXPECT_FALSE(fs::exists(folder / "target"));
    std::ofstream{first, std::ios::binary} << text;
    EXPECT_EQ(backup({"verify", store()}).code, ExitCode::done);
    // Another parent than it was made on.
    const auto manifest = fs::path{store()} / "0001/manifest.json";
    std::ofstream{manifest, std::ios::app} << '\n';
    expect(1, "is not the one that backup 2 was made on", {"verify", store()});
    expect(5, "is not the one that backup 2 was made on", {"incremental", store()});
    fs::remove(manifest);
    expect(4, "manifest.json", {"verify", store()});
}

TEST_F(Backup, a_file_with_something_else_behind_it_is_refused) {
    backup({"full", store(), "data"});
    snapshots->write(1, 'X');
    backup({"incremental", store()});
    const auto second = fs::path{store()} / "0002/data.qcow2";
    ASSERT_TRUE(
        run_program({"qemu-img", "rebase", "-u", "-f", "qcow2", "-F", "raw", "-b", "/etc/passwd", second}));
    expect(1, "'/etc/passwd' is behind it, where '../0001/data.qcow2' should be", {"verify", store()});
}

TEST_F(Backup, a_file_that_has_its_data_elsewhere_is_refused) {
    backup({"full", store(), "data"});
    snapshots->write(1, 'X');
    backup({"incremental", store()});
    const auto second = fs::path{store()} / "0002/data.qcow2";
    const auto size = std::to_string(blocks * block_bytes);
    fs::remove(second);
    ASSERT_TRUE(
        run_program({"qemu-img", "create", "-q", "-f", "qcow2", "-F", "qcow2", "-b", "../0001/data.qcow2",
                     "-o", "data_file=" + (folder / "elsewhere").string(), second, size}));
    expect(1, "elsewhere", {"verify", store()});
    fs::remove(second);
    ASSERT_TRUE(run_program(
        {"qemu-img", "create", "-q", "-f", "qcow2", "-F", "raw", "-b", "../0001/data.qcow2", second, size}));
    expect(1, "said to be of format 'raw'", {"verify", store()});
}

TEST_F(Backup, a_manifest_with_another_digit_is_damaged) {
    backup({"full", store(), "data"});
    const auto manifest = fs::path{store()} / "0001/manifest.json";
    auto json = Json::parse(text_in(manifest));
    json["devices"][0]["epoch"] = number_of(json["devices"][0], "epoch") + 1;
    std::ofstream{manifest} << json.dump(2);
    snapshots->number += 2;
    expect(1, "manifest.json: is damaged", {"verify", store()});
    expect(5, "manifest.json: is damaged", {"incremental", store()});
    EXPECT_TRUE(nothing_is_left());
    // One of a version that wrote no checksum.
    json["devices"][0]["epoch"] = number_of(json["devices"][0], "epoch") - 1;
    json.erase("crc32");
    std::ofstream{manifest} << json.dump(2);
    EXPECT_EQ(backup({"verify", store()}).code, ExitCode::done);
}

TEST_F(Backup, an_increment_on_files_that_are_not_whole_is_refused) {
    backup({"full", store(), "data"});
    const auto first = fs::path{store()} / "0001/data.qcow2";
    fs::resize_file(first, fs::file_size(first) - block_bytes);
    expect(5, "is damaged: it has", {"incremental", store()});
    fs::remove(first);
    expect(5, "data.qcow2: No such file", {"incremental", store()});
    EXPECT_TRUE(nothing_is_left());
}

TEST_F(Backup, one_that_is_begun_in_the_same_second_has_another_snapshot) {
    interrupt({"full", store(), "data"});
    const auto held = snapshots->live;
    snapshots->write_all();
    fs::create_directory(folder / "other");
    EXPECT_EQ(backup({"full", folder / "other", "data"}).code, ExitCode::done);
    EXPECT_EQ(snapshots->live, held);
    EXPECT_EQ(backup({"discard", store()}).code, ExitCode::done);
}

TEST_F(Backup, is_for_its_owner_only) {
    const auto before = umask(S_IWGRP | S_IWOTH);
    backup({"full", store(), "data"});
    for (const auto& entry : fs::recursive_directory_iterator{store()})
        EXPECT_EQ(entry.status().permissions() & (fs::perms::group_all | fs::perms::others_all),
                  fs::perms::none)
            << entry.path();
    umask(before);
}

TEST_F(Backup, one_at_a_time_in_a_folder) {
    const auto held = Store::open(store(), true);
    ASSERT_TRUE(held);
    expect(5, "another filterctl works there now", {"full", store(), "data"});
}

TEST(BackupManifest, comes_from_a_disk_and_is_not_trusted) {
    const auto read = [](const std::string& beginning, const std::string& file, const char* id = generation) {
        const auto text = fmt::format(
            R"({{{},"devices":[{{"device":"a","file":"{}","size_bytes":1,"block_bytes":512,"epoch":1,"generation":"{}"}}]}})",
            beginning, file, id);
        return manifest_of(Json::parse(text), "here").has_value();
    };
    const std::string full = R"("version":1,"number":1,"kind":"full")";
    EXPECT_TRUE(read(full, "a.qcow2"));
    EXPECT_FALSE(read(R"("version":2,"number":1,"kind":"full")", "a.qcow2"));
    EXPECT_FALSE(read(full, "../a"));
    EXPECT_FALSE(read(full, ".."));
    EXPECT_FALSE(read(full, "a.qcow2", "no id"));
    EXPECT_FALSE(manifest_of(Json::parse("{" + full + R"(,"devices":[]})"), "here"));
    // A chain that never ends.
    EXPECT_FALSE(read(R"("version":1,"number":2,"parent":2,"kind":"incremental")", "a"));
}

} // namespace

} // namespace filterctl::backup
