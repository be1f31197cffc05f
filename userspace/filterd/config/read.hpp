// SPDX-License-Identifier: MIT
/// @file
/// From the text of configuration files to what they declare.
#pragma once

#include "config/config.hpp"

#include <expected>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

namespace filterd::config {

/// A file and what is in it.
struct File {
    std::string name;
    std::string text;
};

/// Reads all files as one configuration. Nothing of the result is to be used when @p diagnostics has errors.
Config read(std::span<const File> files, Diagnostics& diagnostics);

/// The main file and every *.yaml of a folder beside it, in alphabetical order. A folder that does not exist
/// is an empty one; what cannot be read is an error.
std::vector<File> load(const std::filesystem::path& main_file, const std::filesystem::path& folder,
                       Diagnostics& diagnostics);

} // namespace filterd::config
