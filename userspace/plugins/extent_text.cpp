// SPDX-License-Identifier: MIT
#include "extent_text.hpp"

#include <fmt/format.h>
#include <iterator>

namespace filterd {

using blkfilter::sector_bytes;
using blkfilter::SectorRange;

namespace {

void add_line(std::string& text, std::uint64_t sector, std::uint64_t end, const char* type) {
    fmt::format_to(std::back_inserter(text), "{} {}{}\n", sector * sector_bytes,
                   (end - sector) * sector_bytes, type);
}

} // namespace

std::string ranges_text(std::span<const SectorRange> ranges) {
    std::string text;
    for (const auto& range : ranges)
        add_line(text, range.sector, range.sector + range.sectors, "");
    return text;
}

std::string extent_list_text(std::span<const SectorRange> ranges, std::uint64_t sector,
                             std::uint64_t end_sector) {
    std::string text;
    const auto add_up_to = [&](std::uint64_t end, const char* type) {
        if (end <= sector)
            return;
        add_line(text, sector, end, type);
        sector = end;
    };
    for (const auto& range : ranges) {
        add_up_to(range.sector, " hole");
        add_up_to(range.sector + range.sectors, "");
    }
    add_up_to(end_sector, " hole");
    return text;
}

} // namespace filterd
