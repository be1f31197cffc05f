// SPDX-License-Identifier: MIT
/// @file
/// Which filterd this is.
#pragma once

namespace filterd::control {

inline constexpr const char* version = "0.1.0";

} // namespace filterd::control
