// SPDX-License-Identifier: MIT
/// @file
/// filterd's plugin for the filter cbt-only.
#include "../extent_text.hpp"
#include "extents.hpp"
#include "tracker.hpp"

#include <blkfilter/uuid.hpp>

#include <bit>
#include <cerrno>
#include <charconv>
#include <fmt/chrono.h>
#include <fmt/format.h>
#include <limits>
#include <memory>
#include <sstream>
#include <string>
#include <vector>

namespace filterd::cbt {

namespace {

using blkfilter::sector_bytes;
using blkfilter::cbt::Range;

/// As text, or nothing where there is none.
std::optional<std::string> text_of(const blkfilter::Uuid& id) {
    return id.is_null() ? std::nullopt : std::optional{id.to_string()};
}

Record record_of(const blkfilter::cbt::Checkpoint& checkpoint) {
    const auto seconds = std::chrono::floor<std::chrono::seconds>(checkpoint.time);
    return Record{}
        .add("number", checkpoint.number)
        .add("name", checkpoint.name.empty() ? std::nullopt : std::optional{checkpoint.name})
        .add("time", fmt::format("{:%FT%TZ}", seconds))
        .add("point", text_of(checkpoint.id));
}

/// Reads "OFFSET+LENGTH"; the sectors that a range touches.
Range parse_range(const std::string& text) {
    constexpr auto most = std::numeric_limits<std::uint64_t>::max() - sector_bytes;
    std::uint64_t offset{};
    std::uint64_t length{};
    const auto* end = std::to_address(text.end());
    const auto first = std::from_chars(text.data(), end, offset);
    const auto is_pair = first.ec == std::errc{} && first.ptr != end && *first.ptr == '+';
    const auto second = is_pair ? std::from_chars(first.ptr + 1, end, length) : first;
    if (!is_pair || second.ec != std::errc{} || second.ptr != end || length == 0 || offset > most ||
        length > most - offset)
        throw Failure{EINVAL, fmt::format("'{}' is not OFFSET+LENGTH, in bytes", text)};
    const auto sector = offset / sector_bytes;
    const auto after = (offset + length + sector_bytes - 1) / sector_bytes;
    return {.sector = sector, .sectors = after - sector};
}

class CbtOnly final : public Plugin {
public:
    static constexpr const char* noun = "cbt";
    static constexpr std::uint32_t flags = FILTERD_KEEPS_HISTORY;
    static constexpr std::uint32_t kernel_least = 1;
    static constexpr const char* config_schema = R"({
        "type": "object",
        "properties": {
            "block_size": {"description": "A power of two from 4KiB to 64MiB; 64KiB without it.", "type": ["integer", "string"]}
        }
    })";

    std::string options(const Config& config) override {
        constexpr std::uint64_t least = 4 << 10;
        constexpr std::uint64_t most = 64 << 20;
        constexpr std::uint64_t usual = 64 << 10;
        const auto block_size = config["block_size"].bytes().value_or(usual);
        if (!std::has_single_bit(block_size) || block_size < least || block_size > most)
            config["block_size"].error("'block_size' must be a power of two from 4KiB to 64MiB");
        return "block_size=" + std::to_string(block_size);
    }

    void status(Call& call) override {
        const CalledTracker tracker{call};
        const auto info = value_of(tracker->info());
        call.answer(Record{}
                        .add("generation", text_of(info.generation))
                        .add("memory_bytes", info.memory_bytes)
                        .add("named", info.named)
                        .add("settled", info.settled));
    }

    void info(Call& call) {
        const CalledTracker tracker{call};
        const auto info = value_of(tracker->info());
        call.answer(Record{}
                        .add("generation", text_of(info.generation))
                        .add("settled", info.settled)
                        .add("size_bytes", info.size_sectors * sector_bytes)
                        .add("block_bytes", info.block_bytes)
                        .add("memory_bytes", info.memory_bytes)
                        .add("named", info.named));
    }

    void checkpoint(Call& call) {
        const CalledTracker tracker{call};
        const auto name = call.text("name");
        const auto number =
            call.given("point")
                ? tracker->name_point(value_of(blkfilter::PointId::parse(call.text("point"))), name)
                : tracker->create(name);
        call.answer(Record{}.add("number", value_of(number)));
    }

    /// All that a device can have of them fit into an answer.
    void list(Call& call) {
        const CalledTracker tracker{call};
        for (const auto& checkpoint : value_of(tracker->checkpoints()).list)
            call.answer(record_of(checkpoint));
    }

    void remove(Call& call) {
        const CalledTracker tracker{call};
        expect_done(tracker->remove(call.text("name")));
    }

    void extents(Call& call) { answer_extents(call); }

    void dirty(Call& call) {
        std::istringstream words{call.text("range")};
        std::vector<Range> ranges;
        for (std::string word; words >> word;)
            ranges.push_back(parse_range(word));
        const CalledTracker tracker{call};
        expect_done(tracker->mark_dirty(ranges));
    }

    static constexpr std::uint32_t needed = FILTERD_REQUIRED | FILTERD_POSITIONAL;
    static constexpr Command<CbtOnly> commands[] = {
        {.name = "info",
         .description = "Show what the tracker knows of itself",
         .flags = FILTERD_DEVICE,
         .run = &CbtOnly::info},
        {.name = "checkpoint",
         .description = "Make a checkpoint now",
         .flags = FILTERD_DEVICE | FILTERD_CHANGES,
         .run = &CbtOnly::checkpoint,
         .arguments = {{.name = "name", .description = "Its name", .flags = needed},
                       {.name = "point",
                        .description = "Not now: give the name to the checkpoint of the "
                                       "consistency point with this id"}}},
        {.name = "list",
         .description = "List the checkpoints",
         .flags = FILTERD_DEVICE,
         .run = &CbtOnly::list},
        {.name = "delete",
         .description = "Delete a checkpoint",
         .flags = FILTERD_DEVICE | FILTERD_CHANGES,
         .run = &CbtOnly::remove,
         .arguments = {{.name = "name", .description = "Its name", .flags = needed}}},
        {.name = "extents",
         .description = "Show what has changed since a checkpoint",
         .flags = FILTERD_DEVICE,
         .run = &CbtOnly::extents,
         .arguments = {{.name = "checkpoint",
                        .description = "Its name, or the id of its consistency point",
                        .flags = needed},
                       {.name = "format",
                        .description = "Records; lines OFFSET LENGTH in bytes; or a list of "
                                       "the whole device for nbdkit's filter extentlist",
                        .type = FILTERD_CHOICE,
                        .choices = extent_formats}}},
        {.name = "dirty",
         .description = "Take ranges for changed now",
         .flags = FILTERD_DEVICE | FILTERD_CHANGES,
         .run = &CbtOnly::dirty,
         .arguments = {{.name = "range",
                        .description = "OFFSET+LENGTH in bytes",
                        .flags = needed | FILTERD_REPEATED}}}};
};

} // namespace

} // namespace filterd::cbt

FILTERD_PLUGIN(filterd::cbt::CbtOnly, "cbt-only", "0.1.0",
               "Changed-block tracking for any number of consumers", "cbt-only", "blkfilter-cbt")
