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
    std::chrono::system_clock::time_point loaded{};
};

/// Reads all of it; nothing, and why in @p diagnostics, when something is wrong.
std::optional<Desired> load_desired(const ConfigFiles& files, Filters& filters,
                                    config::Diagnostics& diagnostics);

/// Looks again which of the filters can be attached: modules may have come.
void look_for_modules(Desired& desired, Filters& filters);

} // namespace filterd
