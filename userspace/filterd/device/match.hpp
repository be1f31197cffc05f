// SPDX-License-Identifier: MIT
/// @file
/// Which devices the declarations of the configuration mean.
#pragma once

#include "config/config.hpp"
#include "device/facts.hpp"

#include <blkfilter/types.hpp>

#include <cstddef>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace filterd::device {

/// All that @p match gives, which is something, holds for the device. 'serial', 'wwn' and 'model' are a
/// disk's: they do not fit its partitions.
bool fits(const config::Match& match, const Facts& device);

/// That of a match which the kernel knows before the first bio of a device; nothing when it knows none of it.
std::optional<blkfilter::RuleKeys> kernel_keys(const config::Match& match);

/// The part of a match that kernel_keys() is, for people: "partuuid".
std::string kernel_keys_text(const blkfilter::RuleKeys& keys);

/// What a declaration has come to mean.
struct Meaning {
    enum class State {
        absent,    ///< no device fits
        present,   ///< devices fit
        ambiguous, ///< too many do, or one that another declaration fits too
    };

    State state{State::absent};
    std::vector<blkfilter::DeviceId> devices{}; ///< that fit, whatever the state
    std::string why{};                          ///< with ambiguous
};

/// The declarations that fit each device, by their places. Kept from one event to the next: where a thousand
/// devices appear one after the other, not everything is compared with everything each time.
using Fitting = std::map<blkfilter::DeviceId, std::vector<std::size_t>>;

/// Of all devices.
Fitting fitting(std::span<const config::Device> declared, const Devices& devices);

/// Of one that is new, is not what it was, or is gone; and all that 'node' matches: nobody says when a link
/// that is not udev's changes.
void refit(Fitting& fitting, std::span<const config::Device> declared, const Devices& devices,
           const blkfilter::DeviceId& device);

/// One for each declaration.
std::vector<Meaning> resolve(std::span<const config::Device> declared, const Devices& devices,
                             const Fitting& fitting);

} // namespace filterd::device
