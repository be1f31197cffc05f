// SPDX-License-Identifier: MIT
/// @file
/// The kernel's side of redirect, in memory.
#pragma once

#include "../../unit/libblkfilter/fake_kernel.hpp"

#include <blkfilter/control.hpp>
#include <linux/blkfilter-control.h>
#include <linux/blkfilter-redirect.h>

#include <cerrno>
#include <cstdint>
#include <cstring>
#include <mutex>
#include <vector>

namespace filterd::test {

/// One device with the filter. From any thread.
class FakeRedirect {
public:
    // What tests see and say, with the lock.
    std::mutex mutex{};
    bool attached{true};
    bool gone{}; ///< pulled
    blkfilter_redirect_status status{};
    blkfilter_redirect_start started{};
    blkfilter_redirect_set set{};
    std::vector<std::uint32_t> commands{}; ///< but for STATUS
    int start_error{};
    std::uint32_t refused{};                                  ///< with it
    std::uint32_t recorded_state{BLKFILTER_REDIRECT_RUNNING}; ///< that the record leads to
    const char* name{"sda"};
    int cut_over_errors{}; ///< so many fail
    int finish_error{};
    std::uint32_t finish_flags{};
    std::vector<std::uint64_t> different{}; ///< sectors of regions, each as often as it is found
    std::uint64_t skipped{};

    static constexpr std::uint64_t region_sectors = 128;

    blkfilter::Control control() {
        return blkfilter::test::control_of(
            [this](unsigned long request, void* argument) { return on_ioctl(request, argument); });
    }

    int command(std::uint32_t number, void* argument) {
        const std::scoped_lock lock{mutex};
        if (gone)
            return -ENODEV;
        if (!attached)
            return -ENOENT;
        if (number != BLKFILTER_REDIRECT_STATUS)
            commands.push_back(number);
        switch (number) {
        case BLKFILTER_REDIRECT_START:
            return start(*static_cast<blkfilter_redirect_start*>(argument));
        case BLKFILTER_REDIRECT_STATUS:
            *static_cast<blkfilter_redirect_status*>(argument) = status;
            return 0;
        case BLKFILTER_REDIRECT_SET:
            set = *static_cast<blkfilter_redirect_set*>(argument);
            status.rate = set.rate;
            status.in_flight = set.in_flight;
            return 0;
        case BLKFILTER_REDIRECT_CUTOVER:
            return cut_over(*static_cast<blkfilter_redirect_cutover*>(argument));
        case BLKFILTER_REDIRECT_VERIFY:
            return verify(*static_cast<blkfilter_redirect_verify*>(argument));
        case BLKFILTER_REDIRECT_PAUSE:
        case BLKFILTER_REDIRECT_RESUME:
            return status.state == BLKFILTER_REDIRECT_CREATED ? -EINVAL : 0;
        case BLKFILTER_REDIRECT_CANCEL:
            status.state = BLKFILTER_REDIRECT_CONCLUDED;
            return 0;
        case BLKFILTER_REDIRECT_FINISH:
            finish_flags = static_cast<blkfilter_redirect_plain*>(argument)->flags;
            return finish();
        case BLKFILTER_REDIRECT_BELOW:
            std::strcpy(static_cast<blkfilter_redirect_below*>(argument)->name, "below-sda");
            return 0;
        default:
            return -ENOTTY;
        }
    }

    void be(std::uint32_t state) {
        const std::scoped_lock lock{mutex};
        status.state = state;
    }

    std::size_t count(std::uint32_t number) {
        const std::scoped_lock lock{mutex};
        return static_cast<std::size_t>(std::ranges::count(commands, number));
    }

private:
    int on_ioctl(unsigned long request, void* argument) {
        if (request == BLKFILTER_IOC_LIST_DEVICES) {
            auto& list = *static_cast<blkfilter_list*>(argument);
            if (list.count != 0) {
                auto& device = *blkfilter::test::at<blkfilter_device_info>(list.entries);
                device.device = {.major = 8, .minor = 0, .diskseq = 1};
                blkfilter::test::put(device.name, name);
            }
            list.count = 1;
            return 0;
        }
        if (request != BLKFILTER_IOC_COMMAND)
            return -ENOTTY;
        const auto& raw = *static_cast<blkfilter_command*>(argument);
        return command(raw.cmd, blkfilter::test::at<void>(raw.opt));
    }

    int start(blkfilter_redirect_start& raw) {
        raw.refused = refused;
        if (start_error != 0)
            return start_error;
        started = raw;
        const bool continues = (raw.flags & BLKFILTER_REDIRECT_CONTINUE) != 0;
        status.state = BLKFILTER_REDIRECT_RUNNING;
        if (raw.mode == BLKFILTER_REDIRECT_ONLY)
            status.state = BLKFILTER_REDIRECT_REDIRECTED;
        else if (continues)
            status.state = recorded_state;
        status.flags = (continues ? BLKFILTER_REDIRECT_CONTINUED : 0) |
                       ((raw.flags & BLKFILTER_REDIRECT_INTERPOSE) != 0 ? BLKFILTER_REDIRECT_INTERPOSED : 0) |
                       (raw.mode == BLKFILTER_REDIRECT_ONLY || raw.flags & BLKFILTER_REDIRECT_NO_RECORD
                            ? 0
                            : BLKFILTER_REDIRECT_RECORDED);
        status.record = {.major = 8, .minor = 32, .diskseq = 3};
        status.record_sector = raw.flags & BLKFILTER_REDIRECT_RECORD ? 0 : 1 << 20;
        status.mode = raw.mode;
        std::memcpy(status.id, raw.id, sizeof(status.id));
        status.target = {.major = 8, .minor = 16, .diskseq = 2};
        status.sectors = 1 << 20;
        status.total = raw.mode == BLKFILTER_REDIRECT_ONLY ? 0 : status.sectors * 512;
        status.remaining = status.total;
        return 0;
    }

    int cut_over(blkfilter_redirect_cutover& raw) {
        if (cut_over_errors > 0) {
            --cut_over_errors;
            return -ETIMEDOUT;
        }
        status.state = BLKFILTER_REDIRECT_REDIRECTED;
        raw.held_ns = status.held_ns = 2'000'000;
        return 0;
    }

    int finish() {
        if (finish_error == 0)
            status.state = BLKFILTER_REDIRECT_CONCLUDED;
        return finish_error;
    }

    int verify(blkfilter_redirect_verify& raw) {
        const auto end = raw.sectors == 0 ? status.sectors
                                          : std::min<std::uint64_t>(status.sectors, raw.sector + raw.sectors);
        const auto found = std::ranges::find_if(
            different, [&](std::uint64_t sector) { return sector >= raw.sector && sector < end; });
        const auto from = raw.sector;
        raw.different = found == different.end() ? ~0ULL : *found;
        raw.sector =
            found == different.end() ? end : *found / region_sectors * region_sectors + region_sectors;
        raw.compared = (raw.sector - from) * 512;
        raw.skipped = skipped;
        if (found != different.end())
            different.erase(found);
        return 0;
    }
};

} // namespace filterd::test
