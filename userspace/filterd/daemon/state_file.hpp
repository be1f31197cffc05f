// SPDX-License-Identifier: MIT
/// @file
/// Small files that tell the next filterd what this one has done.
#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>

namespace filterd {

/// What a file says; null when it is not there, or is not JSON.
nlohmann::json read_state(const std::filesystem::path& file);

/// All of the new content or all of the old, whenever we are killed. Null: the file goes. An empty path keeps
/// nothing. Throws std::system_error.
void write_state(const std::filesystem::path& file, const nlohmann::json& content);

} // namespace filterd
