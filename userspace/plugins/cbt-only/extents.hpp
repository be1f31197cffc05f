// SPDX-License-Identifier: MIT
/// @file
/// What has changed since a checkpoint: an answer of many pages, of which each takes the same memory.
#pragma once

#include <filterd/plugin.hpp>

namespace filterd::cbt {

/// The next page of command "extents" with the arguments checkpoint, a name or a point's id, and format.
void answer_extents(Call& call);

} // namespace filterd::cbt
