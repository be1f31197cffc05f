// SPDX-License-Identifier: MIT
/// @file
/// What the files declare, in the kernel's terms.
#pragma once

#include "config/config.hpp"
#include "config/read.hpp"
#include "daemon/filters.hpp"
#include "engine/plan.hpp"

#include <chrono>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace filterd {

/// Where the configuration is.
struct ConfigFiles {
    std::filesystem::path main{};
    std::filesystem::path folder{};
};

struct Desired {
    config::Config config{};
    std::vector<std::vector<Wanted>> wanted{}; ///< the stack of each of config.devices
    std::vector<std::string> files{};
    std::optional<std::chrono::system_clock::time_point> loaded{}; ///< nothing: no files hold
};

/// Reads all of it; nothing, and why in @p diagnostics, when something is wrong.
std::optional<Desired> load_desired(const ConfigFiles& files, Filters& filters,
                                    config::Diagnostics& diagnostics);

/// What the configuration wants of the kernel, as the filters' plugins say now. False: as load_desired(), and
/// nothing has changed.
bool ask_plugins(Desired& desired, Filters& filters, config::Diagnostics& diagnostics);

/// Looks again which of the filters can be attached: modules may have come.
void look_for_modules(Desired& desired, Filters& filters);

} // namespace filterd
