// SPDX-License-Identifier: MIT
/// @file
/// Which filterd and filterctl this is.
#pragma once

namespace blkfilter::common {

inline constexpr const char* version = "0.1.0";

} // namespace blkfilter::common
