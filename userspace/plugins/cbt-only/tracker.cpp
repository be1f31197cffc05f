// SPDX-License-Identifier: MIT
#include "tracker.hpp"

#include <blkfilter/device_id.hpp>
#include <blkfilter/transport.hpp>
#include <linux/blkfilter-control.h>

#include <cerrno>
#include <cstddef>
#include <memory>
#include <span>

namespace filterd::cbt {

namespace {

using blkfilter::DeviceId;

/// filterd knows device and filter: of the request only the command itself is passed on.
class CallTransport final : public blkfilter::Transport {
public:
    explicit CallTransport(Call& call) : call_{&call} {}

    int ioctl(unsigned long request, void* argument) override {
        if (request != BLKFILTER_IOC_COMMAND)
            return -ENOTTY;
        auto& command = *static_cast<blkfilter_command*>(argument);
        // NOLINTNEXTLINE(performance-no-int-to-ptr): the kernel's structures hold addresses as numbers.
        const std::span buffer{reinterpret_cast<std::byte*>(command.opt), command.optlen};
        try {
            command.optlen = static_cast<std::uint32_t>(call_->control(command.cmd, buffer));
            return 0;
        } catch (const Failure& failure) {
            return -failure.code();
        }
    }

private:
    Call* call_;
};

/// Only for messages, which name it.
DeviceId device_of(const Call& call) {
    return DeviceId::from_path("/dev/" + call.device()).value_or(DeviceId{});
}

} // namespace

CalledTracker::CalledTracker(Call& call)
    : control_{std::make_unique<CallTransport>(call)}, tracker_{control_, device_of(call)} {}

} // namespace filterd::cbt
