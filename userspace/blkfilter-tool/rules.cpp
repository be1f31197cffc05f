// SPDX-License-Identifier: MIT
#include "arguments.hpp"
#include "commands.hpp"
#include "output.hpp"

#include <blkfilter/control.hpp>

#include <iostream>
#include <memory>

namespace blkfilter::tool {

namespace {

struct Arguments {
    RuleKeys keys;
    bool disk{};
    bool partition{};
    std::vector<std::string> entries;
    std::uint32_t provisional_ms{};
    std::uint32_t id{};
    bool json{};
};

Result<void> add(const Arguments& arguments) {
    auto entries = parse_entries(arguments.entries);
    if (!entries)
        return std::unexpected(entries.error());
    const auto control = Control::open();
    if (!control)
        return std::unexpected(control.error());

    RuleRequest request{.keys = arguments.keys,
                        .entries = std::move(*entries),
                        .provisional = std::chrono::milliseconds{arguments.provisional_ms}};
    if (arguments.disk)
        request.keys.kind = RuleKeys::Kind::disk;
    if (arguments.partition)
        request.keys.kind = RuleKeys::Kind::partition;
    const auto id = control->add_rule(request);
    if (!id)
        return std::unexpected(id.error());
    std::cout << *id << '\n';
    return {};
}

Result<void> remove(const Arguments& arguments) {
    const auto control = Control::open();
    if (!control)
        return std::unexpected(control.error());
    return control->remove_rule(arguments.id);
}

Result<void> list(const Arguments& arguments) {
    const auto rules = ask(&Control::rules);
    if (!rules)
        return std::unexpected(rules.error());
    const std::span view{*rules};
    if (arguments.json)
        std::cout << json_of(view).dump(2) << '\n';
    else
        std::cout << table_of(view);
    return {};
}

} // namespace

void add_rule_commands(CLI::App& app, Commands& commands) {
    const auto arguments = std::make_shared<Arguments>();
    auto* rule = app.add_subcommand("rule", "Filters for devices that appear");
    rule->require_subcommand(1);

    auto* add_command = rule->add_subcommand(
        "add", "Attach filters to devices that match all keys, before their first bio; prints the "
               "rule's number");
    auto& keys = arguments->keys;
    auto* disk = add_command->add_flag("--disk", arguments->disk, "Whole disks only");
    add_command->add_flag("--partition", arguments->partition, "Partitions only")->excludes(disk);
    add_command->add_option("--name", keys.name, "Glob for the kernel's name, such as 'sd*'");
    add_command->add_option("--driver", keys.driver, "Module of the disk's driver");
    add_command->add_option("--major", keys.major, "Major number");
    add_command->add_option("--partuuid", keys.partuuid, "The partition's PARTUUID");
    add_command->add_option("--partlabel", keys.partlabel, "The partition's PARTLABEL");
    add_command->add_option("--wwid", keys.wwid, "Hexadecimal EUI-64, NAA or UUID of the disk");
    add_command->add_option("--provisional", arguments->provisional_ms,
                            "Milliseconds after which the filters go unless confirmed");
    add_command->add_option("ENTRY", arguments->entries, std::string{entry_syntax})
        ->required()
        ->check(entry_complaint);
    commands.emplace_back(add_command, [=] { return add(*arguments); });

    auto* remove_command = rule->add_subcommand("remove", "Remove a rule; attached filters stay");
    remove_command->add_option("ID", arguments->id, "The rule's number")->required();
    commands.emplace_back(remove_command, [=] { return remove(*arguments); });

    auto* list_command = rule->add_subcommand("list", "Show the rules");
    list_command->add_flag("--json", arguments->json, "Print JSON");
    commands.emplace_back(list_command, [=] { return list(*arguments); });
}

} // namespace blkfilter::tool
