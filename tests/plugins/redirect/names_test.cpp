// SPDX-License-Identifier: MIT
#include "redirect/names.hpp"

#include "../../folder.hpp"

#include <gtest/gtest.h>

namespace filterd::redirects {

namespace {

namespace fs = std::filesystem;

class RedirectNames : public testing::Test {
protected:
    RedirectNames() {
        link("disk/by-id/wwn-1", "../../sdb");
        link("disk/by-id/ata-DISK", "../../sdb");
        link("disk/by-id/ata-DISK-part1", "../../sdb1");
        link("disk/by-partuuid/6f1c", "../../sdb1");
        link("disk/by-path/pci-1", "../../sdb");
        link("disk/by-uuid/same-on-both", "../../sdb1");
        link("disk/by-label/same-on-both", "../../sdb1");
        link("mapper/vg-home", "../dm-0");
        link("disk/by-id/dm-name-vg-home", "../../dm-0");
    }

    void link(const std::string& name, const std::string& to) const {
        const auto path = roots.dev / name;
        fs::create_directories(path.parent_path());
        fs::create_symlink(to, path);
    }

    [[nodiscard]] std::vector<std::string> lines() const {
        return fstab_lines("8:0", "sda", "/dev/disk/by-id/ata-NEW", roots);
    }

    blkfilter::test::Folder folder;
    Roots roots{.dev = folder / "dev", .proc = folder / "proc", .etc = folder / "etc"};
};

TEST_F(RedirectNames, last_that_follow_the_device_and_not_its_content) {
    const auto dev = roots.dev.string();
    EXPECT_EQ(lasting_names("sdb", roots),
              (std::vector<std::string>{dev + "/disk/by-id/ata-DISK", dev + "/disk/by-id/wwn-1",
                                        dev + "/disk/by-path/pci-1"}));
    EXPECT_EQ(lasting_name("sdb1", roots), dev + "/disk/by-id/ata-DISK-part1");
    EXPECT_EQ(lasting_name("dm-0", roots), dev + "/mapper/vg-home");
    EXPECT_EQ(lasting_name("sdc", roots), dev + "/sdc");
    EXPECT_TRUE(lasting_names("sdc", roots).empty());
}

TEST_F(RedirectNames, fstab_keeps_all_but_the_device) {
    blkfilter::test::write_file(roots.proc / "self/mountinfo",
                                "22 1 8:0 / /data\\040one rw,relatime shared:1 - ext4 /dev/sda rw\n"
                                "23 1 8:16 / /other rw - ext4 /dev/sdb rw\n");
    blkfilter::test::write_file(roots.etc / "fstab", "# comment\n\n/dev/sda1 / ext4 defaults 0 1\n"
                                                     "UUID=abc\t/data\\040one  ext4  noatime,nofail 0 2\n");
    EXPECT_EQ(lines(),
              std::vector<std::string>{"/dev/disk/by-id/ata-NEW /data\\040one ext4 noatime,nofail 0 2"});
}

TEST_F(RedirectNames, what_fstab_does_not_have_is_as_it_is_mounted) {
    blkfilter::test::write_file(roots.proc / "self/mountinfo",
                                "22 1 8:0 / /data rw,noatime - xfs /dev/sda rw\n"
                                "23 1 8:0 / / rw - xfs /dev/sda rw\n"
                                "24 1 8:0 /folder /bound rw - xfs /dev/sda rw\n"
                                "25 1 8:0 / /data rw - xfs /dev/sda rw\n"
                                "not a mount\n");
    EXPECT_EQ(lines(), (std::vector<std::string>{"/dev/disk/by-id/ata-NEW /data xfs rw,noatime 0 2",
                                                 "/dev/disk/by-id/ata-NEW / xfs rw 0 1"}));
}

TEST_F(RedirectNames, swap_has_a_line_too) {
    blkfilter::test::write_file(roots.proc / "swaps", "Filename Type Size Used Priority\n"
                                                      "/dev/sda partition 1000 0 -2\n");
    EXPECT_EQ(lines(), std::vector<std::string>{"/dev/disk/by-id/ata-NEW none swap sw 0 0"});
}

TEST_F(RedirectNames, what_is_not_mounted_has_none) {
    EXPECT_TRUE(lines().empty());
}

} // namespace

} // namespace filterd::redirects
