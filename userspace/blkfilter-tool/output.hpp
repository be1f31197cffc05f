// SPDX-License-Identifier: MIT
/// @file
/// What the program prints, as text.
#pragma once

#include <blkfilter/events.hpp>
#include <blkfilter/types.hpp>

#include <nlohmann/json.hpp>
#include <span>
#include <string>

namespace blkfilter::tool {

/// A stack with its device's name.
struct NamedStack {
    std::string device_name;
    Stack stack;
};

/// Of every JSON object that is printed: its member "version".  A change that a
/// reader can trip over increases it.
inline constexpr int json_version = 1;

/// JSON objects.  An altitude is a string with the exact number; options are
/// hexadecimal, and a text too where they are one.
nlohmann::json json_of(std::span<const FilterInfo> filters);
nlohmann::json json_of(std::span<const DeviceInfo> devices);
nlohmann::json json_of(std::span<const NamedStack> stacks);
nlohmann::json json_of(const NamedStack& stack);
nlohmann::json json_of(std::span<const Rule> rules);
nlohmann::json json_of(const Point& point);
nlohmann::json json_of(const Event& event, const std::string& device_name);

/// Tables; empty when there is nothing.
std::string table_of(std::span<const FilterInfo> filters);
std::string table_of(std::span<const DeviceInfo> devices);
std::string table_of(std::span<const NamedStack> stacks);
std::string table_of(std::span<const Rule> rules);
/// Bios by operation, then sectors by operation.
std::string statistics_table_of(const Stack& stack);

/// One line, without its newline.
std::string line_of(const Point& point);
std::string line_of(const Event& event, const std::string& device_name);

} // namespace blkfilter::tool
