// SPDX-License-Identifier: MIT
/// @file
/// What has changed of a device, as text for other programs.
#pragma once

#include <blkfilter/types.hpp>

#include <cstdint>
#include <span>
#include <string>

namespace filterd {

/// As in filterd_argument::choices; the first one is used when none is given.
///   records  an object for each changed range, in bytes
///   ranges   OFFSET LENGTH of each, in bytes
///   nbdkit   for nbdkit's filter extentlist: the whole device without a gap, what has not changed as "hole"
inline constexpr const char* extent_formats = "records|ranges|nbdkit";

/// Even of the longest lines a page of so many ranges has less than FILTERD_ANSWER_BYTES.
inline constexpr std::uint32_t extents_a_page = 4096;

std::string ranges_text(std::span<const blkfilter::SectorRange> ranges);

/// All from one sector to another. nbdkit takes a gap for "hole,zero", which would say that it reads as
/// zeroes: so there is none, and what is before @p sector is left out.
std::string extent_list_text(std::span<const blkfilter::SectorRange> ranges, std::uint64_t sector,
                             std::uint64_t end_sector);

} // namespace filterd
