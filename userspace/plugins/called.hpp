// SPDX-License-Identifier: MIT
/// @file
/// The tracker of the device that a call is about, as libblkfilter has it: what it sends goes through
/// filterd.
#pragma once

#include "results.hpp"

#include <filterd/plugin.hpp>

#include <blkfilter/control.hpp>
#include <blkfilter/device_id.hpp>
#include <blkfilter/transport.hpp>

#include <memory>

namespace filterd {

/// filterd knows device and filter: of the request only the command itself is passed on. Lives no longer than
/// the call.
std::unique_ptr<blkfilter::Transport> transport_of(Call& call);

/// Only for messages, which name it.
blkfilter::DeviceId device_of(const Call& call);

/// A tracker of libblkfilter. Lives no longer than the call.
template <class Tracker>
class Called {
public:
    explicit Called(Call& call) : control_{transport_of(call)}, tracker_{control_, device_of(call)} {}
    Called(const Called&) = delete;
    Called& operator=(const Called&) = delete;
    ~Called() = default;

    const Tracker* operator->() const { return &tracker_; }
    const Tracker& operator*() const { return tracker_; }

private:
    blkfilter::Control control_;
    Tracker tracker_;
};

} // namespace filterd
