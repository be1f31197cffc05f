// SPDX-License-Identifier: MIT
#include "../../folder.hpp"

#include <blkfilter/device_id.hpp>

#include <cerrno>
#include <filesystem>
#include <fstream>
#include <gtest/gtest.h>

namespace blkfilter {

namespace {

namespace fs = std::filesystem;

/// A sysfs with disk vda (254:0, diskseq 10) and its partition vda1 (254:1).
class DeviceIdTest : public testing::Test {
protected:
    DeviceIdTest() {
        const auto disk = sysfs_ / "devices/block/vda";
        fs::create_directories(disk / "vda1");
        fs::create_directories(sysfs_ / "dev/block");
        std::ofstream{disk / "diskseq"} << "10\n";
        fs::create_symlink("../../devices/block/vda", sysfs_ / "dev/block/254:0");
        fs::create_symlink("../../devices/block/vda/vda1", sysfs_ / "dev/block/254:1");
    }

    test::Folder folder_{};
    const fs::path& sysfs_ = folder_.path();
};

TEST_F(DeviceIdTest, a_disk_is_found_by_its_number) {
    EXPECT_EQ(DeviceId::from_number(254, 0, sysfs_), (DeviceId{254, 0, 10}));
}

TEST_F(DeviceIdTest, a_partition_has_its_disks_sequence_number) {
    EXPECT_EQ(DeviceId::from_number(254, 1, sysfs_), (DeviceId{254, 1, 10}));
}

TEST_F(DeviceIdTest, a_number_without_a_device_is_an_error) {
    const auto device = DeviceId::from_number(254, 2, sysfs_);
    ASSERT_FALSE(device);
    EXPECT_EQ(device.error().code, ENODEV);
    EXPECT_EQ(device.error().message, "254:2: no such block device");
}

TEST_F(DeviceIdTest, a_device_is_called_by_the_kernels_name) {
    EXPECT_EQ(device_name({254, 1, 10}, sysfs_), "vda1");
}

TEST_F(DeviceIdTest, a_device_that_is_gone_is_called_by_its_number) {
    EXPECT_EQ(device_name({254, 2, 10}, sysfs_), "254:2");
}

TEST_F(DeviceIdTest, a_device_is_not_called_by_the_name_of_a_later_one) {
    EXPECT_EQ(device_name({254, 1, 9}, sysfs_), "254:1");
}

TEST(DeviceId, is_written_with_number_and_sequence_number) {
    EXPECT_EQ((DeviceId{254, 1, 10}.to_string()), "254:1#10");
    EXPECT_EQ((DeviceId{254, 1, 10}.number()), "254:1");
}

TEST(DeviceId, a_path_must_be_a_block_device) {
    const auto character_device = DeviceId::from_path("/dev/null");
    ASSERT_FALSE(character_device);
    EXPECT_EQ(character_device.error().code, ENOTBLK);
    EXPECT_EQ(character_device.error().message, "/dev/null: not a block device");

    const auto nothing = DeviceId::from_path("/dev/no-such-device");
    ASSERT_FALSE(nothing);
    EXPECT_EQ(nothing.error().code, ENOENT);
    EXPECT_EQ(nothing.error().message, "/dev/no-such-device: No such file or directory");
}

} // namespace

} // namespace blkfilter
