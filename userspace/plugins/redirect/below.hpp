// SPDX-License-Identifier: MIT
/// @file
/// What lies on what.
#pragma once

#include "names.hpp"

#include <filesystem>
#include <string>

namespace filterd::redirects {

/// The device that the file system of an existing path lies on, by its number, such as "8:1"; empty where
/// there is none that is known, as of a file system in memory or in the network.
std::string device_below(const std::filesystem::path& path, const Roots& roots);

/// The same by what stat() says of it: a file system of several devices has a number of its own, and the
/// device that it was mounted from is taken.
std::string device_below(const std::string& number, const Roots& roots);

/// Whether a device is @p source, or lies on it: as a partition, by device mapper, md and what else tells
/// the kernel, and by files of loop devices. By their numbers.
bool lies_on(const std::string& device, const std::string& source, const Roots& roots);

} // namespace filterd::redirects
