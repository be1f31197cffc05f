// SPDX-License-Identifier: MIT
#include "extents.hpp"

#include "../extent_text.hpp"
#include "tracker.hpp"

#include <blkfilter/uuid.hpp>
#include <linux/blkfilter-cbt.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <fmt/format.h>
#include <sstream>
#include <string>
#include <vector>

namespace filterd::cbt {

namespace {

using blkfilter::sector_bytes;
using blkfilter::Uuid;

/// Where the answer goes on, and all that was asked for.
struct Cursor {
    Uuid generation;
    std::uint64_t number{};
    std::uint64_t sector{};
    std::string format;

    [[nodiscard]] std::string to_string() const {
        return fmt::format("{} {} {} {}", generation.to_string(), number, sector, format);
    }
};

/// A cursor comes from a client, and may be anything.
Cursor parse_cursor(const std::string& text) {
    std::istringstream words{text};
    std::string generation;
    Cursor cursor;
    words >> generation >> cursor.number >> cursor.sector >> cursor.format;
    const auto id = Uuid::parse(generation);
    if (!words || !words.eof() || !id)
        throw Failure{EINVAL, fmt::format("'{}' is no cursor of this command", text)};
    cursor.generation = *id;
    return cursor;
}

/// The beginning of an answer.
Cursor first_cursor(Call& call) {
    const auto wanted = call.text("checkpoint");
    const CalledTracker tracker{call};
    const auto known = value_of(tracker->checkpoints());
    const auto found = std::ranges::find_if(known.list, [&](const auto& checkpoint) {
        return checkpoint.name == wanted || (checkpoint.name.empty() && checkpoint.id.to_string() == wanted);
    });
    if (found == known.list.end())
        throw Failure{ENOENT, fmt::format("{}: no checkpoint '{}': it was deleted, or the history has begun "
                                          "anew and everything may have changed",
                                          call.device(), wanted)};
    return {.generation = known.generation,
            .number = found->number,
            .sector = 0,
            .format = call.text("format", "records")};
}

struct Page {
    std::vector<blkfilter_cbt_extent> extents;
    /// All between them, from the cursor's sector to this one, has not changed.
    std::uint64_t end_sector{};
    bool is_last{};
};

/// What failed, said for people where the errno alone does not.
Failure explained(const Call& call, const Failure& failure) {
    switch (failure.code()) {
    case ESTALE:
        return {ESTALE, fmt::format("{}: the history has begun anew since the checkpoint: everything may "
                                    "have changed",
                                    call.device())};
    case ENOENT:
        return {ENOENT, fmt::format("{}: the checkpoint, or the filter, has gone", call.device())};
    default:
        return failure;
    }
}

Page page_at(Call& call, const Cursor& cursor) {
    Page page;
    page.extents.resize(extents_a_page);
    blkfilter_cbt_extents raw{};
    raw.size = sizeof(raw);
    raw.entry_size = sizeof(blkfilter_cbt_extent);
    std::memcpy(raw.generation, cursor.generation.bytes().data(), sizeof(raw.generation));
    raw.number = cursor.number;
    raw.sector = cursor.sector;
    raw.extents = reinterpret_cast<std::uintptr_t>(page.extents.data());
    raw.count = extents_a_page;
    try {
        call.control(BLKFILTER_CBT_EXTENTS, raw);
    } catch (const Failure& failure) {
        throw explained(call, failure);
    }
    page.extents.resize(std::min(raw.count, extents_a_page));
    page.end_sector = raw.sector;
    page.is_last = raw.count < extents_a_page;
    return page;
}

void answer_records(Call& call, const Page& page) {
    for (const auto& extent : page.extents)
        call.answer(Record{}
                        .add("offset", extent.sector * sector_bytes)
                        .add("length", extent.sectors * sector_bytes)
                        .add("type", extent.flags & BLKFILTER_CBT_DISCARDED ? "discarded" : "written"));
}

std::vector<blkfilter::SectorRange> ranges_of(const Page& page) {
    std::vector<blkfilter::SectorRange> ranges;
    ranges.reserve(page.extents.size());
    for (const auto& extent : page.extents)
        ranges.push_back({.sector = extent.sector, .sectors = extent.sectors});
    return ranges;
}

/// A device that has grown since the page before may have been cut off within a block: the first extent
/// begins before the cursor's sector then.
void answer_page(Call& call, const Page& page, const Cursor& cursor) {
    if (cursor.format == "records")
        answer_records(call, page);
    else if (cursor.format == "ranges")
        call.print(ranges_text(ranges_of(page)));
    else if (cursor.format == "nbdkit")
        call.print(extent_list_text(ranges_of(page), cursor.sector, page.end_sector));
    else
        throw Failure{EINVAL, fmt::format("'{}' is no format: {}", cursor.format, extent_formats)};
}

} // namespace

void answer_extents(Call& call) {
    const auto given = call.cursor();
    auto cursor = given ? parse_cursor(*given) : first_cursor(call);
    const auto page = page_at(call, cursor);
    answer_page(call, page, cursor);
    cursor.sector = page.end_sector;
    if (!page.is_last)
        call.more(cursor.to_string());
}

} // namespace filterd::cbt
