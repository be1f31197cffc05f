// SPDX-License-Identifier: MIT
/// @file
/// What people type for devices and for entries of a stack.
#pragma once

#include <blkfilter/cbt.hpp>
#include <blkfilter/control.hpp>
#include <blkfilter/error.hpp>
#include <blkfilter/types.hpp>

#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace blkfilter::tool {

/// The syntax that parse_entry() reads, for help texts.
inline constexpr std::string_view entry_syntax =
    "NAME[@ALTITUDE][,options=TEXT][,options-hex=HEX][,replaces=NAME][,owner=HEX32]; "
    "a comma or backslash inside TEXT is written \\, or \\\\";

/// Reads a stack entry.  EINVAL: it is not in the syntax above; the message quotes
/// it and says what is wrong.
Result<EntryRequest> parse_entry(std::string_view text);

/// What is wrong with an entry, for CLI11's check(); empty when nothing is.
std::string entry_complaint(const std::string& text);

/// Reads several; the first error counts.
Result<std::vector<EntryRequest>> parse_entries(std::span<const std::string> texts);

/// The device that @p text means: the path of a node, or a kernel name such as
/// "vda1" for a node in /dev.
Result<DeviceId> find_device(const std::string& text);

/// The control device, and the device that a command is about.
struct Subject {
    Control control;
    DeviceId device;

    /// @p device as find_device() takes it.
    static Result<Subject> open(const std::string& device);
};

/// Several devices; the first error counts.
Result<std::vector<DeviceId>> find_devices(std::span<const std::string> texts);

/// Reads ranges, each "SECTOR+SECTORS".  EINVAL: one is something else; the message
/// quotes it.
Result<std::vector<cbt::Range>> parse_ranges(std::span<const std::string> texts);

} // namespace blkfilter::tool
