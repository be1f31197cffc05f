// SPDX-License-Identifier: MIT
/// @file
/// The tracker of the device that a call is about.
#pragma once

#include "../called.hpp"

#include <blkfilter/cbt.hpp>

namespace filterd::cbt {

using CalledTracker = Called<blkfilter::cbt::Tracker>;

} // namespace filterd::cbt
