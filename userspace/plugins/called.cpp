// SPDX-License-Identifier: MIT
#include "called.hpp"

#include <linux/blkfilter-control.h>

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <span>

namespace filterd {

namespace {

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

} // namespace

std::unique_ptr<blkfilter::Transport> transport_of(Call& call) {
    return std::make_unique<CallTransport>(call);
}

blkfilter::DeviceId device_of(const Call& call) {
    return blkfilter::DeviceId::from_path("/dev/" + call.device()).value_or(blkfilter::DeviceId{});
}

} // namespace filterd
