// SPDX-License-Identifier: MIT
#include "blksnap/file_systems.hpp"

#include "../../folder.hpp"

#include <algorithm>
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <map>
#include <sys/sysmacros.h>

namespace filterd::snapshots {

namespace {

namespace fs = std::filesystem;
using blkfilter::test::write_file;
using Names = std::set<std::string>;

/// A system with sda (sda1, sda2), LVM's dm-0 on sda2, loop0 of a file on dm-0, sdb alone.
class BlksnapFileSystems : public testing::Test {
protected:
    BlksnapFileSystems() {
        device("sda", "8:0");
        device("sda1", "8:1");
        device("sda2", "8:2");
        device("sdb", "8:16");
        device("dm-0", "254:0");
        device("loop0", "7:0");
        for (const char* part : {"sda1", "sda2"})
            write_file(folder / "sys/class/block/sda" / part / "partition", "1");
        write_file(folder / "sys/class/block/sda2/holders/dm-0/x", "");
        write_file(folder / "sys/class/block/loop0/loop/backing_file", "/data/image");
        places["/data/image"] = {.file_system = makedev(254, 0), .device = 0};
        process(1, "mnt:[1]", mounts);
        roots = {.sysfs = folder / "sys",
                 .proc = folder / "proc",
                 .place = [this](const fs::path& path) -> std::optional<Place> {
                     const auto found = places.find(path);
                     return found == places.end() ? std::nullopt : std::optional{found->second};
                 }};
    }
    void device(const std::string& name, const std::string& number) {
        write_file(folder / "sys/class/block" / name / "dev", number + "\n");
        write_file(folder / "sys/dev/block" / number / "diskseq", "7\n");
    }

    void process(int pid, const char* space, const std::string& mountinfo) {
        const auto at = folder / "proc" / std::to_string(pid);
        write_file(at / "mountinfo", mountinfo);
        fs::create_directories(at / "ns");
        fs::remove(at / "ns/mnt");
        fs::create_symlink(space, at / "ns/mnt");
    }

    std::vector<std::string> found_on(const Names& names) {
        std::vector<std::string> found;
        for (const auto& one : file_systems_on(names, roots))
            found.push_back(
                fmt::format("{} {} {}", one.device, one.mount_point, one.frozen ? "frozen" : "not"));
        std::ranges::sort(found);
        return found;
    }

    const std::string mounts = "22 1 8:1 / / rw - ext4 /dev/sda1 rw\n"
                               "23 22 254:0 / /data rw - xfs /dev/mapper/vg-data rw\n"
                               "24 22 7:0 / /inner rw - ext4 /dev/loop0 rw\n"
                               "25 22 8:16 / /other\\040one rw - vfat /dev/sdb rw\n"
                               "26 22 0:5 / /proc rw - proc proc rw\n"
                               "27 22 254:0 /sub /again rw - xfs /dev/mapper/vg-data rw\n";
    blkfilter::test::Folder folder;
    std::map<fs::path, Place> places;
    Roots roots;
};

TEST_F(BlksnapFileSystems, what_lies_above_is_found) {
    EXPECT_EQ(found_on({"sda"}),
              (std::vector<std::string>{"dm-0 /data frozen", "loop0 /inner frozen", "sda1 / frozen"}));
    EXPECT_EQ(found_on({"dm-0"}), (std::vector<std::string>{"dm-0 /data frozen", "loop0 /inner frozen"}));
    EXPECT_EQ(found_on({"sdb", "no-such"}), std::vector<std::string>{"sdb /other one frozen"});
    EXPECT_EQ(found_on({"sda1"}), std::vector<std::string>{"sda1 / frozen"});
}

TEST_F(BlksnapFileSystems, the_kernel_is_told_of_what_lies_above_the_uppermost_first) {
    using Ids = std::vector<blkfilter::DeviceId>;
    EXPECT_EQ(to_be_frozen(file_systems_on({"sda"}, roots)), (Ids{{7, 0, 7}, {254, 0, 7}}));
    EXPECT_EQ(to_be_frozen(file_systems_on({"dm-0"}, roots)), (Ids{{7, 0, 7}}));
    EXPECT_EQ(to_be_frozen(file_systems_on({"sdb"}, roots)), Ids{});
    // One more on the loop device.
    write_file(folder / "sys/class/block/loop0/holders/dm-1/x", "");
    device("dm-1", "254:1");
    process(1, "mnt:[1]", mounts + "28 22 254:1 / /top rw - xfs /dev/mapper/top rw\n");
    EXPECT_EQ(to_be_frozen(file_systems_on({"sda"}, roots)), (Ids{{254, 1, 7}, {7, 0, 7}, {254, 0, 7}}));
}

TEST_F(BlksnapFileSystems, looks_into_other_mount_namespaces) {
    process(77, "mnt:[2]", "22 1 8:2 / /hidden rw - ext4 /dev/sda2 rw\n");
    process(78, "mnt:[2]", "22 1 8:2 / /hidden rw - ext4 /dev/sda2 rw\n");
    EXPECT_EQ(found_on({"sda2"}),
              (std::vector<std::string>{"dm-0 /data frozen", "loop0 /inner frozen", "sda2 /hidden frozen"}));
    const auto all = file_systems_on({"sda2"}, roots);
    const auto hidden = std::ranges::find(all, "/hidden", &FileSystem::mount_point);
    ASSERT_NE(hidden, all.end());
    EXPECT_EQ(hidden->reachable, folder / "proc/77/root/hidden");
}

TEST_F(BlksnapFileSystems, warns_of_btrfs) {
    process(77, "mnt:[2]", "30 1 0:40 / /tree rw - btrfs /dev/sda1 rw\n");
    places["/dev/sda1"] = {.file_system = makedev(0, 6), .device = makedev(8, 1)};
    for (const char* part : {"sda1", "sdb"})
        write_file(folder / "sys/fs/btrfs/some-id/devices" / part / "x", "");
    const auto warning = [&](const Names& names) {
        const auto all = file_systems_on(names, roots);
        const auto tree = std::ranges::find(all, "btrfs", &FileSystem::type);
        return tree == all.end() ? "" : tree->warning;
    };
    EXPECT_TRUE(warning({"sda"}).starts_with("btrfs of several devices, of which not all take part"));
    EXPECT_TRUE(warning({"sda", "sdb"}).starts_with("btrfs: its image has the same id"));
}

TEST_F(BlksnapFileSystems, says_what_is_not_frozen) {
    fs::remove(folder / "sys/dev/block/7:0/diskseq");
    EXPECT_EQ(found_on({"dm-0"}), (std::vector<std::string>{"dm-0 /data frozen", "loop0 /inner not"}));
    for (const auto& one : file_systems_on({"sda"}, roots))
        EXPECT_EQ(one.warning.empty(), one.frozen) << one.warning;
}

} // namespace

} // namespace filterd::snapshots
