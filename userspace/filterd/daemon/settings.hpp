// SPDX-License-Identifier: MIT
/// @file
/// What the configuration says to plugins beside their filters' own keys.
#pragma once

#include "config/config.hpp"

#include <map>
#include <string>

namespace filterd {

/// By the names of filterd_host::setting in <filterd/plugin.h>: what @p group says, else the defaults.
/// @p group may be null.
std::map<std::string, std::string> settings_of(const config::Config& config, const config::Group* group);

} // namespace filterd
