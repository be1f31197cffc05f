// SPDX-License-Identifier: MIT
/// @file
/// Block devices as udev knows them.
#pragma once

#include "device/facts.hpp"

#include <functional>
#include <memory>
#include <systemd/sd-device.h>
#include <systemd/sd-event.h>

namespace filterd::device {

/// All devices that udev has done with. Errors: std::system_error.
Devices enumerate();

/// Hears of devices from udev, after udev has done with them. For the loop's thread.
class Monitor {
public:
    using Appeared = std::function<void(const Facts&)>; ///< or something about it is other than it was
    using Gone = std::function<void(const blkfilter::DeviceId&)>;

    /// To be made before enumerate(), so that none is missed. Errors: std::system_error.
    Monitor(sd_event* event, Appeared appeared, Gone gone);
    Monitor(const Monitor&) = delete;
    Monitor& operator=(const Monitor&) = delete;
    ~Monitor();

private:
    static int on_event(sd_device_monitor* monitor, sd_device* device, void* self);
    void heard(sd_device* device);

    sd_device_monitor* monitor_{};
    Appeared appeared_;
    Gone gone_;
};

/// The kernel's names of devices, sorted so that each comes before those that it lies on: for points.
std::vector<blkfilter::DeviceId> upper_first(std::vector<blkfilter::DeviceId> devices);

} // namespace filterd::device
