// SPDX-License-Identifier: MIT
/// @file
/// What has changed since a checkpoint: an answer of many pages, of which each takes the same memory.
#pragma once

#include <filterd/plugin.hpp>

namespace filterd::cbt {

/// As in filterd_argument::choices; the first one is used when none is given.
///   records  an object for each changed range, in bytes
///   ranges   OFFSET LENGTH of each, in bytes
///   nbdkit   for nbdkit's filter extentlist: the whole device without a gap, what has not changed as "hole"
inline constexpr const char* extent_formats = "records|ranges|nbdkit";

/// The next page of command "extents" with the arguments checkpoint, a name or a point's id, and format.
void answer_extents(Call& call);

} // namespace filterd::cbt
