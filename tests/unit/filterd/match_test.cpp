// SPDX-License-Identifier: MIT
#include "device/match.hpp"

#include <gtest/gtest.h>

namespace filterd::device {

namespace {

using config::Match;

Facts disk(std::uint32_t minor) {
    return {.id = {8, minor, minor + 1},
            .name = "sda",
            .links = {"/dev/disk/by-id/virtio-data0", "/dev/disk/by-path/pci-0000:00:1f.2-ata-1", "/dev/sda"},
            .serial = "WD-1234",
            .wwn = "0x50014ee2b1c2d3e4",
            .model = "WDC WD80"};
}

Facts partition() {
    auto facts = disk(1);
    facts.partition = true;
    facts.links = {"/dev/disk/by-id/virtio-data0-part1", "/dev/sda1"};
    facts.uuid = "0a1b2c3d-1111-2222-3333-444455556666";
    facts.partuuid = "6f1c2a10-03";
    facts.partlabel = "log one";
    return facts;
}

/// A match with one key.
template <class Member>
Match match(Member Match::* key, const char* value) {
    Match made;
    made.*key = value;
    return made;
}

config::Device declare(const char* name, Match wanted) {
    config::Device device;
    device.name = name;
    device.match = std::move(wanted);
    return device;
}

TEST(Match, needs_all_that_is_given) {
    auto wanted = match(&Match::id, "virtio-data0");
    EXPECT_TRUE(fits(wanted, disk(0)));
    wanted.serial = "WD-*";
    EXPECT_TRUE(fits(wanted, disk(0)));
    wanted.model = "ST*";
    EXPECT_FALSE(fits(wanted, disk(0)));
}

TEST(Match, takes_patterns_where_a_shell_would) {
    EXPECT_TRUE(fits(match(&Match::path, "pci-0000:00:1f.2-ata-?"), disk(0)));
    EXPECT_TRUE(fits(match(&Match::partlabel, "log*"), partition()));
    EXPECT_FALSE(fits(match(&Match::partuuid, "6f1c2a10-*"), partition())) << "no pattern";
    EXPECT_TRUE(fits(match(&Match::partuuid, "6F1C2A10-03"), partition())) << "case does not matter";
    EXPECT_TRUE(fits(match(&Match::node, "/dev/sda1"), partition()));
    EXPECT_FALSE(fits(match(&Match::node, "/dev/sda"), partition()));
}

TEST(Match, does_not_take_a_partition_for_its_disk) {
    EXPECT_FALSE(fits(match(&Match::id, "virtio-data0"), partition()));
    EXPECT_FALSE(fits(match(&Match::serial, "WD-1234"), partition()));
    auto both = match(&Match::serial, "WD-1234");
    both.partuuid = "6f1c2a10-03";
    EXPECT_TRUE(fits(both, partition()));
}

TEST(Match, tells_the_kernel_what_it_can_know) {
    EXPECT_FALSE(kernel_keys(match(&Match::id, "virtio-data0")));
    EXPECT_FALSE(kernel_keys(match(&Match::partlabel, "log*")));
    EXPECT_FALSE(kernel_keys(match(&Match::wwn, "0x50014ee*")));
    EXPECT_FALSE(kernel_keys(match(&Match::wwn, "nvme.1234-5678")));
    EXPECT_EQ(kernel_keys(match(&Match::wwn, "0x50014EE2B1C2D3E4"))->wwid, "50014ee2b1c2d3e4");
    EXPECT_EQ(kernel_keys(match(&Match::wwn, "eui.0025388b710116a1"))->wwid, "0025388b710116a1");
    const auto keys = kernel_keys(match(&Match::partuuid, "6F1C2A10-03"));
    EXPECT_EQ(keys->partuuid, "6f1c2a10-03");
    EXPECT_EQ(keys->kind, blkfilter::RuleKeys::Kind::partition);
    EXPECT_EQ(kernel_keys_text(*keys), "partuuid");
}

std::vector<Meaning> resolve(std::span<const config::Device> declared, const Devices& devices) {
    return resolve(declared, devices, fitting(declared, devices));
}

TEST(Match, of_several_devices_is_ambiguous_unless_it_says_many) {
    const Devices devices{{disk(0).id, disk(0)}, {disk(1).id, disk(1)}};
    auto one = declare("one", match(&Match::serial, "WD-1234"));
    EXPECT_EQ(resolve({&one, 1}, devices).at(0).state, Meaning::State::ambiguous);
    one.match.many = true;
    EXPECT_EQ(resolve({&one, 1}, devices).at(0).state, Meaning::State::present);
    EXPECT_EQ(resolve({&one, 1}, {}).at(0).state, Meaning::State::absent);
}

TEST(Match, of_two_declarations_is_nobodys) {
    const Devices devices{{disk(0).id, disk(0)}};
    const config::Device both[]{declare("one", match(&Match::serial, "WD-1234")),
                                declare("two", match(&Match::id, "virtio-*"))};
    const auto meanings = resolve(both, devices);
    EXPECT_EQ(meanings.at(0).state, Meaning::State::ambiguous);
    EXPECT_EQ(meanings.at(1).why, "sda is declared as 'one' too");
}

TEST(Match, is_looked_at_again_for_a_device_that_has_changed) {
    const config::Device both[]{declare("one", match(&Match::serial, "WD-1234")),
                                declare("two", match(&Match::node, "/dev/sda"))};
    auto devices = Devices{{disk(0).id, disk(0)}};
    auto fits = fitting(both, devices);
    devices.at(disk(0).id).serial = "other";
    devices.emplace(disk(1).id, disk(1));
    devices.at(disk(1).id).links = {"/dev/sdb"};
    refit(fits, both, devices, disk(0).id);
    refit(fits, both, devices, disk(1).id);
    EXPECT_EQ(fits.at(disk(0).id), std::vector<std::size_t>{1});
    EXPECT_EQ(fits.at(disk(1).id), std::vector<std::size_t>{0});
    // A link that is not udev's goes to another device, of which nobody says so.
    std::swap(devices.at(disk(0).id).links, devices.at(disk(1).id).links);
    refit(fits, both, devices, {8, 9, 9});
    EXPECT_EQ(fits.at(disk(0).id), std::vector<std::size_t>{});
    EXPECT_EQ(fits.at(disk(1).id), (std::vector<std::size_t>{0, 1}));
    devices.erase(disk(1).id);
    refit(fits, both, devices, disk(1).id);
    EXPECT_FALSE(fits.contains(disk(1).id));
    EXPECT_EQ(resolve(both, devices, fits).at(0).state, Meaning::State::absent);
}

} // namespace

} // namespace filterd::device
