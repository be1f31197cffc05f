// SPDX-License-Identifier: MIT
#include "message.hpp"

#include <blkfilter/blksnap.hpp>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <limits>
#include <memory>
#include <ranges>

namespace blkfilter::blksnap {

namespace {

/// All of the text.
template <class Number>
bool read_number(std::string_view text, Number& number) {
    const auto* end = std::to_address(text.end());
    const auto [rest, error] = std::from_chars(std::to_address(text.begin()), end, number);
    return error == std::errc{} && rest == end;
}

} // namespace

std::string MapInfo::to_string() const {
    return fmt::format("{}/{}/{}/{}", generation.to_string(), number, size_bytes, block_bytes);
}

Result<MapInfo> MapInfo::parse(std::string_view text) {
    std::vector<std::string_view> words;
    for (const auto word : std::views::split(text, '/'))
        words.emplace_back(word.begin(), word.end());
    const auto wrong = [&] { return failure(EINVAL, fmt::format("'{}'", text), "no base of a copy"); };
    MapInfo info;
    if (words.size() != 4 || !read_number(words[1], info.number) || !read_number(words[2], info.size_bytes) ||
        !read_number(words[3], info.block_bytes) || info.block_bytes == 0)
        return wrong();
    const auto id = Uuid::parse(words[0]);
    const auto blocks = info.size_bytes / info.block_bytes + (info.size_bytes % info.block_bytes != 0);
    if (!id || blocks > std::numeric_limits<std::uint32_t>::max())
        return wrong();
    info.generation = *id;
    info.blocks = static_cast<std::uint32_t>(blocks);
    return info;
}

std::string_view reason_of(Mismatch mismatch) {
    switch (mismatch) {
    case Mismatch::generation:
        return "its history has begun anew since (the machine or the filter was started, or 255 snapshots "
               "were taken)";
    case Mismatch::size:
        return "the device, or a block of its map, has another size since";
    case Mismatch::number:
        return "the map knows of no such snapshot";
    case Mismatch::none:
        break;
    }
    return "";
}

Mismatch compare(const MapInfo& base, const MapInfo& now) {
    if (base.generation != now.generation)
        return Mismatch::generation;
    if (base.size_bytes != now.size_bytes || base.block_bytes != now.block_bytes || base.blocks != now.blocks)
        return Mismatch::size;
    // 0 is no snapshot: what was written before the first one is not in the map.
    return base.number == 0 || base.number > now.number ? Mismatch::number : Mismatch::none;
}

Result<std::vector<SectorRange>> ChangeMap::changed_since(const MapInfo& base) const {
    if (const auto mismatch = compare(base, info_); mismatch != Mismatch::none)
        return failure(ESTALE, "changes", fmt::format("{}: a full copy is needed", reason_of(mismatch)));
    const std::uint64_t block_sectors = info_.block_bytes / sector_bytes;
    const std::uint64_t device_sectors = info_.size_bytes / sector_bytes;
    const auto is_changed = [&](std::uint8_t number) { return number > base.number; };
    std::vector<SectorRange> ranges;
    for (auto at = numbers_.begin();;) {
        const auto first = std::find_if(at, numbers_.end(), is_changed);
        if (first == numbers_.end())
            return ranges;
        at = std::find_if_not(first, numbers_.end(), is_changed);
        const auto begin = static_cast<std::uint64_t>(first - numbers_.begin()) * block_sectors;
        const auto end =
            std::min(static_cast<std::uint64_t>(at - numbers_.begin()) * block_sectors, device_sectors);
        ranges.push_back({.sector = begin, .sectors = end - begin});
    }
}

} // namespace blkfilter::blksnap
