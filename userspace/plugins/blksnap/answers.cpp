// SPDX-License-Identifier: MIT
#include "answers.hpp"

#include "../extent_text.hpp"
#include "../json_text.hpp"
#include "../results.hpp"

#include <blkfilter/uuid.hpp>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fmt/format.h>
#include <span>
#include <sstream>

namespace filterd::snapshots {

namespace blksnap = blkfilter::blksnap;
using blkfilter::sector_bytes;
using blkfilter::SectorRange;

namespace {

std::string state_of(const Status& status) {
    return status.ours && !status.record.taken ? "being made"
                                               : std::string{to_string(status.statistics.state)};
}

Json names_of(const Record& record) {
    auto names = Json::array();
    for (const auto& member : record.devices)
        names.push_back(member.declared);
    return names;
}

} // namespace

// --- records ---

Json line_of(const Status& status) {
    const auto& [record, ours, statistics, others, rate, until_full] = status;
    return {{"label", text_or_null(record.label)},
            {"state", state_of(status)},
            {"owner", ours ? "filterd" : "foreign"},
            {"created", text_or_null(record.created)},
            {"group", text_or_null(record.group)},
            {"devices", names_of(record)},
            {"used_bytes", statistics.used_sectors * sector_bytes},
            {"storage_bytes", statistics.storage_sectors * sector_bytes},
            {"id", record.id.to_string()}};
}

Json details_of(const Status& status) {
    const auto& [record, ours, statistics, others, rate, until_full] = status;
    auto json = line_of(status);
    json["storage"] = text_or_null(record.policy.path);
    json["limit_bytes"] = ours ? Json(record.policy.limit_bytes) : Json{};
    json["others_bytes"] = others;
    json["bytes_per_second"] = static_cast<std::uint64_t>(rate);
    json["full_in_seconds"] = until_full ? Json(until_full->count()) : Json{};
    json["chunk_bytes"] = statistics.chunk_sectors * sector_bytes;
    json["copied_chunks"] = statistics.copied_chunks;
    json["chunks_in_memory"] = statistics.chunks_in_memory;
    json["index_bytes"] = statistics.index_bytes;
    json["writes_waited"] = statistics.writes_waited;
    json["closed_ns"] = statistics.closed.count();
    return json;
}

Json line_of(const FileSystem& file_system) {
    return {{"device", file_system.device},
            {"type", file_system.type},
            {"mounted_on", file_system.mount_point},
            {"frozen", file_system.frozen},
            {"warning", text_or_null(file_system.warning)}};
}

Json image_of(const Record& record, const Member& member, const blksnap::MapInfo& info,
              const blksnap::Part& part) {
    return {{"device", member.declared},
            {"image", part.image},
            {"link", link_of(record, member)},
            {"error", part.error == 0 ? Json{} : Json(std::strerror(part.error))},
            {"size_bytes", info.size_bytes},
            {"block_bytes", info.block_bytes},
            {"generation", info.generation.to_string()},
            {"number", info.number},
            {"base", info.to_string()}};
}

// --- what has changed ---

namespace {

/// Where an answer goes on. It names a place on the device, and not one among the ranges: a map that is shown
/// may still get more of them, when an image is written to or somebody marks what he knows.
struct Cursor {
    blkfilter::Uuid generation{};
    unsigned number{};
    std::uint64_t sector{};

    [[nodiscard]] std::string to_string() const {
        return fmt::format("{} {} {}", generation.to_string(), number, sector);
    }
};

/// A cursor comes from a client, and may be anything.
Cursor parse_cursor(const std::string& text) {
    std::istringstream words{text};
    std::string generation;
    Cursor cursor;
    words >> generation >> cursor.number >> cursor.sector;
    const auto id = blkfilter::Uuid::parse(generation);
    if (!words || !words.eof() || !id)
        throw Failure{EINVAL, fmt::format("'{}' is no cursor of this command", text)};
    cursor.generation = *id;
    return cursor;
}

/// The sector where the page begins.
std::uint64_t begin_of(const Call& call, const blksnap::MapInfo& now) {
    const auto text = call.cursor();
    if (!text)
        return 0;
    const auto cursor = parse_cursor(*text);
    if (cursor.generation != now.generation || cursor.number != now.number)
        throw Failure{ESTALE, "another snapshot was taken since the page before: begin anew"};
    return cursor.sector;
}

/// The map that shows a device's changes up to the snapshot.
blksnap::ChangeMap map_of(const Snapshots& snapshots, const Call& call) {
    const auto status = snapshots.find_made(call.text("snapshot"));
    const auto& member = member_of(status.record, call.text("device"));
    const auto control = value_of(snapshots.surroundings().control());
    const blksnap::Tracker tracker{control, member.id};
    const auto part = value_of(tracker.part());
    if (part.error != 0)
        throw Failure{EIO, fmt::format("the image of {} is not to be used any more: {}", member.declared,
                                       std::strerror(part.error))};
    return value_of(tracker.map());
}

std::vector<SectorRange> changes_of(const Call& call, const blksnap::ChangeMap& map) {
    const auto base = blksnap::MapInfo::parse(call.text("base"));
    if (!base)
        throw Failure{EINVAL, base.error().message + ": take it from filterctl snapshot images"};
    auto changed = map.changed_since(*base);
    if (!changed)
        throw Failure{changed.error().code,
                      fmt::format("{}: {}", call.text("device"), changed.error().message)};
    return *std::move(changed);
}

/// What is beyond a sector, of the first range the rest.
std::span<SectorRange> beyond(std::span<SectorRange> all, std::uint64_t sector) {
    const auto first = std::ranges::find_if(
        all, [&](const SectorRange& range) { return range.sector + range.sectors > sector; });
    const auto rest = all.subspan(static_cast<std::size_t>(first - all.begin()));
    if (!rest.empty() && rest.front().sector < sector)
        rest.front() = {.sector = sector, .sectors = first->sector + first->sectors - sector};
    return rest;
}

} // namespace

void answer_changes(Call& call, const Snapshots& snapshots) {
    const auto map = map_of(snapshots, call);
    const auto begin = begin_of(call, map.info());
    auto all = changes_of(call, map);
    const auto rest = beyond(all, begin);
    const bool is_last = rest.size() <= extents_a_page;
    const auto page = rest.first(is_last ? rest.size() : extents_a_page);
    const auto end =
        is_last ? map.info().size_bytes / sector_bytes : page.back().sector + page.back().sectors;
    const auto format = call.text("format", "records");
    if (format == "ranges")
        call.print(ranges_text(page));
    else if (format == "nbdkit")
        call.print(extent_list_text(page, begin, end));
    else
        for (const auto& range : page)
            call.answer(filterd::Record{}
                            .add("offset", range.sector * sector_bytes)
                            .add("length", range.sectors * sector_bytes));
    if (!is_last)
        call.more(Cursor{.generation = map.info().generation, .number = map.info().number, .sector = end}
                      .to_string());
}

} // namespace filterd::snapshots
