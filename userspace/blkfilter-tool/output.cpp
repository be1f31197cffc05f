// SPDX-License-Identifier: MIT
#include "output.hpp"

#include <blkfilter-common/table.hpp>

#include <algorithm>
#include <fmt/format.h>

namespace blkfilter::tool {

namespace {

using common::Table;
using Milliseconds = std::chrono::duration<double, std::milli>;

constexpr Table::Column left(const char* heading) {
    return {.heading = heading, .align = Table::Align::left};
}

constexpr Table::Column right(const char* heading) {
    return {.heading = heading, .align = Table::Align::right};
}

std::string number(std::uint64_t value) {
    return fmt::format("{}", value);
}

std::string with_comma(std::string list, std::string_view word) {
    if (!list.empty())
        list += ',';
    return list.append(word);
}

std::string flags_of(const FilterInfo& filter) {
    std::string flags;
    if (filter.needs_points)
        flags = with_comma(flags, "points");
    if (filter.zoned)
        flags = with_comma(flags, "zoned");
    return flags;
}

std::string flags_of(const DeviceInfo& device) {
    std::string flags;
    if (device.partition)
        flags = with_comma(flags, "partition");
    if (device.settling)
        flags = with_comma(flags, "settling");
    return flags;
}

std::string flags_of(const StackEntry& entry) {
    std::string flags;
    if (entry.provisional)
        flags = with_comma(flags, "provisional");
    if (entry.from_first_bio)
        flags = with_comma(flags, "first-bio");
    return flags;
}

/// What a rule matches: "partition name=sd*".
std::string text_of(const RuleKeys& keys) {
    std::string text;
    switch (keys.kind) {
    case RuleKeys::Kind::any:
        break;
    case RuleKeys::Kind::disk:
        text = " disk";
        break;
    case RuleKeys::Kind::partition:
        text = " partition";
        break;
    }
    const auto add = [&](std::string_view key, const auto& value) {
        if (value)
            text += fmt::format(" {}={}", key, *value);
    };
    add("name", keys.name);
    add("driver", keys.driver);
    add("major", keys.major);
    add("partuuid", keys.partuuid);
    add("partlabel", keys.partlabel);
    add("wwid", keys.wwid);
    return text.empty() ? text : text.substr(1);
}

/// What an event's value and data mean, as words; empty when nothing.
std::string details_of(const Event& event) {
    switch (event.type) {
    case EventType::lost:
        return fmt::format("count={}", event.value);
    case EventType::attached:
        return fmt::format("altitude={}", Altitude{event.value}.to_string());
    case EventType::detached:
        return fmt::format("reason={}", to_string(event.reason));
    case EventType::stack:
        return fmt::format("generation={}", event.value);
    case EventType::resized:
        return fmt::format("sectors={}", event.value);
    case EventType::point: {
        Uuid::Array id;
        std::copy_n(event.data.begin(), id.size(), id.begin());
        return fmt::format("id={}", PointId{id}.to_string());
    }
    case EventType::filter:
        return fmt::format("value={} data={}", event.value, to_hex(event.data));
    default:
        return {};
    }
}

} // namespace

std::string table_of(std::span<const FilterInfo> filters) {
    Table table{left("FILTER"), right("ALTITUDE"), left("MODULE"), right("INSTANCES"), left("FLAGS")};
    for (const auto& filter : filters)
        table.add_row({filter.name, filter.default_altitude.to_string(), filter.module,
                       number(filter.instances), flags_of(filter)});
    return table.to_string();
}

std::string table_of(std::span<const DeviceInfo> devices) {
    Table table{left("DEVICE"),   left("MAJ:MIN"),     right("DISKSEQ"), right("SECTORS"),
                right("FILTERS"), right("GENERATION"), left("FLAGS")};
    for (const auto& device : devices)
        table.add_row({device.name, device.device.number(), number(device.device.diskseq),
                       number(device.size_sectors), number(device.filters), number(device.generation),
                       flags_of(device)});
    return table.to_string();
}

std::string table_of(std::span<const NamedStack> stacks) {
    Table table{left("DEVICE"), right("ALTITUDE"), left("FILTER"),    left("STATE"),
                right("READS"), right("WRITES"),   right("DISCARDS"), right("FLUSHES"),
                right("TAKEN"), right("OWN"),      left("FLAGS")};
    for (const auto& [device_name, stack] : stacks) {
        for (const auto& entry : stack.entries) {
            const auto& statistics = entry.statistics;
            table.add_row({device_name, entry.altitude.to_string(), entry.name, entry.state,
                           number(statistics.bios_of(Group::read)), number(statistics.bios_of(Group::write)),
                           number(statistics.bios_of(Group::discard)),
                           number(statistics.bios_of(Group::flush)), number(statistics.taken),
                           number(statistics.own), flags_of(entry)});
        }
    }
    return table.to_string();
}

std::string statistics_table_of(const Stack& stack) {
    Table table{left("FILTER"),           right("READS"),          right("WRITES"),
                right("DISCARDS"),        right("ZEROES"),         right("FLUSHES"),
                right("OTHERS"),          right("READ-SECTORS"),   right("WRITE-SECTORS"),
                right("DISCARD-SECTORS"), right("ZEROES-SECTORS"), right("FLUSH-SECTORS"),
                right("OTHER-SECTORS")};
    for (const auto& entry : stack.entries) {
        std::vector<std::string> cells{entry.name};
        for (const auto& counts : {entry.statistics.bios, entry.statistics.sectors})
            std::ranges::transform(counts, std::back_inserter(cells), number);
        table.add_row(cells);
    }
    return table.to_string();
}

std::string table_of(std::span<const Rule> rules) {
    Table table{right("ID"), left("MATCH"), right("FILTERS"), right("PROVISIONAL-MS")};
    for (const auto& rule : rules)
        table.add_row({number(rule.id), text_of(rule.keys), number(rule.entries),
                       fmt::format("{}", rule.provisional.count())});
    return table.to_string();
}

std::string line_of(const Point& point) {
    return fmt::format("point {} closed {:.3f} ms frozen {:.3f} ms", point.id.to_string(),
                       Milliseconds{point.closed}.count(), Milliseconds{point.frozen}.count());
}

std::string line_of(const Event& event, const std::string& device_name) {
    const std::chrono::duration<double> seconds = event.since_boot;
    auto line = fmt::format("{} {:.6f} {}", event.sequence, seconds.count(), to_string(event.type));
    for (const auto& word : {device_name, event.name, details_of(event)}) {
        if (!word.empty())
            line += " " + word;
    }
    if (event.pid != 0)
        line += fmt::format(" by {}[{}]", event.process, event.pid);
    return line;
}

} // namespace blkfilter::tool
