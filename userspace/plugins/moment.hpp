// SPDX-License-Identifier: MIT
/// @file
/// When something happens.
#pragma once

#include <string>

namespace filterd {

/// Tells this boot from others.
std::string boot_id();

/// "2026-11-21T12:00:00Z"
std::string now_as_text();

} // namespace filterd
