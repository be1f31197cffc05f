// SPDX-License-Identifier: MIT
/// @file
/// The kernel's side of blksnap, in memory.
#pragma once

#include "../../unit/libblkfilter/fake_kernel.hpp"

#include <blkfilter/blksnap.hpp>
#include <blkfilter/control.hpp>
#include <linux/blkfilter-control.h>
#include <linux/blksnap.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <fmt/format.h>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <vector>

namespace filterd::test {

using Id = std::array<std::uint8_t, 16>;

/// All devices have the filter but those that are named in without. From any thread.
class FakeBlksnap {
public:
    struct Snapshot {
        std::vector<std::string> devices{};
        std::uint64_t storage_bytes{};
        std::uint64_t used_bytes{};
        bool taken{};
    };

    static constexpr std::uint32_t block_bytes = 65536;

    // What tests see and say, with the lock.
    std::mutex mutex{};
    std::map<Id, Snapshot> snapshots{};
    std::set<std::string> without{};
    std::vector<std::uint8_t> numbers = std::vector<std::uint8_t>(100); ///< of the blocks of each device
    std::uint8_t number = 3;
    int take_error{};
    int append_error{};
    int destroy_error{};
    int statistics_error{};

    blkfilter::blksnap::Module module() {
        return blkfilter::blksnap::Module{std::make_unique<blkfilter::test::FakeTransport>(
            [this](unsigned long request, void* argument) { return on_module(request, argument); })};
    }
    blkfilter::Control control() {
        return blkfilter::test::control_of(
            [this](unsigned long request, void* argument) { return on_device(request, argument); });
    }

    Snapshot only_one() {
        const std::scoped_lock lock{mutex};
        return snapshots.size() == 1 ? snapshots.begin()->second : Snapshot{};
    }

    void use(std::uint64_t bytes) {
        const std::scoped_lock lock{mutex};
        for (auto& [id, snapshot] : snapshots)
            snapshot.used_bytes = bytes;
    }

private:
    static Id id_of(const blksnap_uuid& raw) {
        Id id{};
        std::memcpy(id.data(), raw.b, id.size());
        return id;
    }

    int create(blksnap_uuid& raw) {
        raw.b[0] = ++last_;
        snapshots[id_of(raw)] = {};
        return 0;
    }

    int destroy(const blksnap_uuid& raw) {
        if (destroy_error != 0)
            return destroy_error;
        return snapshots.erase(id_of(raw)) == 1 ? 0 : -ENODEV;
    }

    int collect(blksnap_snapshot_collect& raw) {
        const auto room = raw.count;
        raw.count = static_cast<__u32>(snapshots.size());
        if (room < raw.count)
            return -ENODATA;
        auto* out = blkfilter::test::at<blksnap_uuid>(raw.ids);
        for (const auto& [id, snapshot] : snapshots)
            std::memcpy((out++)->b, id.data(), id.size());
        return 0;
    }

    int wait(const blksnap_snapshot_event& raw) {
        const auto id = id_of(raw.id);
        const auto there = [&] {
            const std::scoped_lock lock{mutex};
            return snapshots.contains(id);
        };
        for (int i = 0; i < 10 && there(); ++i)
            std::this_thread::sleep_for(std::chrono::milliseconds{1});
        return there() ? -ENOENT : -ESRCH;
    }

    int statistics(blksnap_statistics& raw) {
        const auto found = snapshots.find(id_of(raw.id));
        if (found == snapshots.end())
            return -ESRCH;
        if (statistics_error != 0)
            return statistics_error;
        raw.devices = static_cast<__u32>(found->second.devices.size());
        raw.state = found->second.taken ? BLKSNAP_STATE_TAKEN : BLKSNAP_STATE_NEW;
        raw.storage_sectors = found->second.storage_bytes / 512;
        raw.used_sectors = found->second.used_bytes / 512;
        return 0;
    }

    int append(const blksnap_append_file& raw) {
        const auto found = snapshots.find(id_of(raw.id));
        if (found == snapshots.end())
            return -ESRCH;
        if (append_error == 0)
            found->second.storage_bytes += static_cast<std::uint64_t>(lseek(raw.fd, 0, SEEK_END));
        return append_error;
    }

    int take(const blksnap_uuid& raw) {
        const auto found = snapshots.find(id_of(raw));
        if (take_error == 0)
            found->second.taken = true;
        return take_error;
    }

    int on_module(unsigned long request, void* argument) {
        if (request == IOCTL_BLKSNAP_SNAPSHOT_WAIT_EVENT)
            return wait(*static_cast<blksnap_snapshot_event*>(argument));
        const std::scoped_lock lock{mutex};
        switch (request) {
        case IOCTL_BLKSNAP_SNAPSHOT_CREATE:
            return create(*static_cast<blksnap_uuid*>(argument));
        case IOCTL_BLKSNAP_SNAPSHOT_DESTROY:
            return destroy(*static_cast<blksnap_uuid*>(argument));
        case IOCTL_BLKSNAP_SNAPSHOT_COLLECT:
            return collect(*static_cast<blksnap_snapshot_collect*>(argument));
        case IOCTL_BLKSNAP_SNAPSHOT_STATISTICS:
            return statistics(*static_cast<blksnap_statistics*>(argument));
        case IOCTL_BLKSNAP_SNAPSHOT_APPEND_FILE:
            return append(*static_cast<blksnap_append_file*>(argument));
        case IOCTL_BLKSNAP_SNAPSHOT_TAKE:
            return take(*static_cast<blksnap_uuid*>(argument));
        default:
            return -ENOTTY;
        }
    }

    int on_device(unsigned long, void* argument) {
        const std::scoped_lock lock{mutex};
        auto& command = *static_cast<blkfilter_command*>(argument);
        const auto name = fmt::format("{}:{}", command.device.major, command.device.minor);
        if (without.contains(name))
            return -ENOENT;
        switch (command.cmd) {
        case blkfilter_ctl_blksnap_cbtinfo: {
            auto& raw = *blkfilter::test::at<blksnap_cbtinfo>(command.opt);
            raw.device_capacity = numbers.size() * block_bytes;
            raw.block_size = block_bytes;
            raw.block_count = static_cast<__u32>(numbers.size());
            raw.generation_id.b[0] = 0xab;
            raw.changes_number = number;
            return 0;
        }
        case blkfilter_ctl_blksnap_cbtmap:
            std::memcpy(
                blkfilter::test::at<std::uint8_t>(blkfilter::test::at<blksnap_cbtmap>(command.opt)->buffer),
                numbers.data(), numbers.size());
            return 0;
        case blkfilter_ctl_blksnap_snapshotadd:
            snapshots[id_of(blkfilter::test::at<blksnap_snapshotadd>(command.opt)->id)].devices.push_back(
                name);
            return 0;
        case blkfilter_ctl_blksnap_snapshotinfo:
            return 0;
        default:
            return -ENOTTY;
        }
    }

    std::uint8_t last_{};
};

} // namespace filterd::test
