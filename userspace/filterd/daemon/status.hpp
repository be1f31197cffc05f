// SPDX-License-Identifier: MIT
/// @file
/// What the control socket shows, as JSON (docs/control-protocol.md).
#pragma once

#include "daemon/keeper.hpp"

#include <chrono>
#include <nlohmann/json.hpp>
#include <span>

namespace filterd {

/// All that "status", "devices" and "filters" need, read at one time. For the keeper's thread.
struct Snapshot {
    std::chrono::steady_clock::time_point begun{std::chrono::steady_clock::now()};
    nlohmann::json status = nlohmann::json::object(); ///< but for "service" and "plugins"
    nlohmann::json devices = nlohmann::json::array();
    nlohmann::json filters = nlohmann::json::array();
};

Snapshot take_snapshot(const Keeper& keeper, Engine& engine, Filters& filters);

/// The result of "plan" and "apply".
nlohmann::json to_json(std::span<const Report> reports);

/// The result of "diff": what the kernel has and what the files say, where they differ.
nlohmann::json diff_of(std::span<const Report> reports, Engine& engine, Filters& filters);

} // namespace filterd
