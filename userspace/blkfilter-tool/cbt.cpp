// SPDX-License-Identifier: MIT
#include "arguments.hpp"
#include "commands.hpp"

#include <blkfilter-common/table.hpp>
#include <blkfilter/cbt.hpp>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <fmt/chrono.h>
#include <fmt/format.h>
#include <iostream>
#include <memory>

namespace blkfilter::tool {

namespace {

using common::Table;

struct Arguments {
    std::string device;
    std::string name;
    std::string point;
    std::vector<std::string> ranges;
};

/// Runs @p use on the tracker of the device.
Result<void> with_tracker(const Arguments& arguments,
                          const std::function<Result<void>(const cbt::Tracker&)>& use) {
    const auto subject = Subject::open(arguments.device);
    if (!subject)
        return std::unexpected(subject.error());
    return use(cbt::Tracker{subject->control, subject->device});
}

Result<void> info(const Arguments& arguments) {
    return with_tracker(arguments, [](const cbt::Tracker& tracker) -> Result<void> {
        const auto info = tracker.info();
        if (!info)
            return std::unexpected(info.error());
        std::cout << fmt::format(
            "generation {}\nsettled {}\nsectors {}\nblock_bytes {}\nmemory_bytes {}\nnamed {}\n",
            info->generation.to_string(), info->settled, info->size_sectors, info->block_bytes,
            info->memory_bytes, info->named);
        return {};
    });
}

Result<void> create(const Arguments& arguments) {
    return with_tracker(arguments, [&](const cbt::Tracker& tracker) -> Result<void> {
        Result<std::uint64_t> number;
        if (arguments.point.empty()) {
            number = tracker.create(arguments.name);
        } else {
            const auto point = PointId::parse(arguments.point);
            if (!point)
                return std::unexpected(point.error());
            number = tracker.name_point(*point, arguments.name);
        }
        if (!number)
            return std::unexpected(number.error());
        std::cout << *number << '\n';
        return {};
    });
}

Result<void> list(const Arguments& arguments) {
    return with_tracker(arguments, [](const cbt::Tracker& tracker) -> Result<void> {
        const auto checkpoints = tracker.checkpoints();
        if (!checkpoints)
            return std::unexpected(checkpoints.error());
        Table table{{"NUMBER", Table::Align::right},
                    {"NAME", Table::Align::left},
                    {"TIME", Table::Align::left},
                    {"POINT", Table::Align::left}};
        for (const auto& checkpoint : checkpoints->list)
            table.add_row({fmt::format("{}", checkpoint.number),
                           checkpoint.name.empty() ? "-" : checkpoint.name,
                           fmt::format("{:%F %T}", std::chrono::floor<std::chrono::seconds>(checkpoint.time)),
                           checkpoint.id.is_null() ? "-" : checkpoint.id.to_string()});
        std::cout << table.to_string();
        return {};
    });
}

Result<void> remove(const Arguments& arguments) {
    return with_tracker(arguments,
                        [&](const cbt::Tracker& tracker) { return tracker.remove(arguments.name); });
}

/// The number of a checkpoint that is given by name or by a point's id.
Result<std::uint64_t> number_of(const cbt::Checkpoints& checkpoints, const Arguments& arguments) {
    const auto found = std::ranges::find_if(checkpoints.list, [&](const cbt::Checkpoint& checkpoint) {
        return checkpoint.name == arguments.name ||
               (checkpoint.name.empty() && checkpoint.id.to_string() == arguments.name);
    });
    if (found == checkpoints.list.end())
        return std::unexpected(
            Error{.code = ENOENT,
                  .message = fmt::format("{}: no checkpoint '{}'; see blkfilter-tool cbt list",
                                         arguments.device, arguments.name)});
    return found->number;
}

void print(std::span<const cbt::Extent> extents) {
    for (const auto& extent : extents)
        std::cout << fmt::format("{} {} {}\n", extent.range.sector, extent.range.sectors,
                                 extent.discarded ? "discarded" : "written");
}

Result<void> extents(const Arguments& arguments) {
    return with_tracker(arguments, [&](const cbt::Tracker& tracker) -> Result<void> {
        const auto checkpoints = tracker.checkpoints();
        if (!checkpoints)
            return std::unexpected(checkpoints.error());
        const auto number = number_of(*checkpoints, arguments);
        if (!number)
            return std::unexpected(number.error());
        return tracker.extents(checkpoints->generation, *number,
                               [](std::span<const cbt::Extent> page) -> Result<void> {
                                   print(page);
                                   return {};
                               });
    });
}

Result<void> dirty(const Arguments& arguments) {
    const auto ranges = parse_ranges(arguments.ranges);
    if (!ranges)
        return std::unexpected(ranges.error());
    return with_tracker(arguments, [&](const cbt::Tracker& tracker) { return tracker.mark_dirty(*ranges); });
}

} // namespace

void add_cbt_commands(CLI::App& app, Commands& commands) {
    const auto arguments = std::make_shared<Arguments>();
    auto* cbt = app.add_subcommand("cbt", "Changed-block tracking by the filter cbt-only");
    cbt->require_subcommand(1);
    const auto add = [&](const char* name, const char* help, Result<void> (*run)(const Arguments&)) {
        auto* command = cbt->add_subcommand(name, help);
        command->add_option("DEVICE", arguments->device, "A device node, or its name in /dev")->required();
        commands.emplace_back(command, [=] { return run(*arguments); });
        return command;
    };
    const auto add_name = [&](CLI::App* command, const char* help) {
        command->add_option("CHECKPOINT", arguments->name, help)->required();
    };

    add("info", "Print what the tracker knows of itself", info);
    auto* make = add("checkpoint", "Make a checkpoint now, print its number", create);
    add_name(make, "Its name");
    make->add_option("--point", arguments->point, "Not now: give the name to the checkpoint of this point");
    add("list", "List checkpoints", list);
    add_name(add("delete", "Delete a checkpoint", remove), "Its name");
    add_name(add("extents", "Print what has changed since a checkpoint: SECTOR SECTORS written|discarded",
                 extents),
             "Its name, or the id of a point");
    add("dirty", "Take ranges for written now", dirty)
        ->add_option("RANGE", arguments->ranges, "SECTOR+SECTORS, in 512 bytes")
        ->required();
}

} // namespace blkfilter::tool
