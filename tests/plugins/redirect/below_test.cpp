// SPDX-License-Identifier: MIT
#include "redirect/below.hpp"

#include "../../folder.hpp"

#include <gtest/gtest.h>

namespace filterd::redirects {

namespace {

namespace fs = std::filesystem;

/// sda with sda1, sdb, dm-0 on sda1, md0 on dm-0 and sdb, loop0 of a file.
class RedirectBelow : public testing::Test {
protected:
    RedirectBelow() {
        device("block/sda", "908:0");
        device("block/sda/sda1", "908:1");
        blkfilter::test::write_file(folder / "sys/devices/block/sda/sda1/partition", "1\n");
        device("block/sdb", "908:16");
        device("block/dm-0", "954:0", {"sda/sda1"});
        device("block/md0", "909:0", {"dm-0", "sdb"});
        device("block/loop0", "907:0");
    }

    void device(const std::string& path, const std::string& number,
                const std::vector<std::string>& slaves = {}) const {
        const auto own = folder / "sys/devices" / path;
        blkfilter::test::write_file(own / "dev", number + "\n");
        fs::create_directories(folder / "sys/dev/block");
        fs::create_directory_symlink(own, folder / "sys/dev/block" / number);
        fs::create_directories(own / "slaves");
        for (const auto& slave : slaves)
            fs::create_directory_symlink(folder / "sys/devices/block" / slave,
                                         own / "slaves" / fs::path{slave}.filename());
    }

    [[nodiscard]] bool on(const std::string& device, const std::string& source) const {
        return lies_on(device, source, roots);
    }

    blkfilter::test::Folder folder;
    Roots roots{.dev = folder / "dev", .proc = folder / "proc", .sys = folder / "sys"};
};

TEST_F(RedirectBelow, partitions_and_mapped_devices_lie_on_disks) {
    EXPECT_TRUE(on("908:0", "908:0"));
    EXPECT_TRUE(on("908:1", "908:0"));
    EXPECT_FALSE(on("908:0", "908:1"));
    EXPECT_FALSE(on("908:16", "908:0"));
    EXPECT_TRUE(on("954:0", "908:1"));
    EXPECT_TRUE(on("954:0", "908:0"));
    EXPECT_TRUE(on("909:0", "908:0"));
    EXPECT_TRUE(on("909:0", "908:16"));
    EXPECT_FALSE(on("909:0", "907:0"));
    EXPECT_FALSE(on("", "908:0"));
    EXPECT_FALSE(on("950:7", "908:0")) << "sysfs does not know it";
}

TEST_F(RedirectBelow, loop_devices_lie_where_their_files_do) {
    const auto file = folder / "image";
    blkfilter::test::write_file(file, "");
    const auto below = device_below(file, roots);
    blkfilter::test::write_file(folder / "sys/devices/block/loop0/loop/backing_file", file.string() + "\n");
    if (!below.empty()) {
        EXPECT_TRUE(on("907:0", below));
    }
    EXPECT_FALSE(on("907:0", "908:0"));
    EXPECT_EQ(device_below(folder / "nothing", roots), "");
}

TEST_F(RedirectBelow, a_file_system_of_several_devices_lies_where_it_was_mounted_from) {
    EXPECT_EQ(device_below(std::string{"908:1"}, roots), "908:1");
    EXPECT_EQ(device_below(std::string{"0:31"}, roots), "");
    blkfilter::test::write_file(folder / "proc/self/mountinfo", "22 1 0:31 / /data rw - btrfs /dev/null rw\n"
                                                                "23 1 0:32 / /net rw - nfs host:/data rw\n");
    EXPECT_EQ(mount_source("0:31", roots), "/dev/null");
    EXPECT_EQ(device_below(std::string{"0:31"}, roots), "") << "it is no block device";
    EXPECT_EQ(device_below(std::string{"0:32"}, roots), "");
}

} // namespace

} // namespace filterd::redirects
