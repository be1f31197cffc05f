// SPDX-License-Identifier: MIT
#include "arguments.hpp"
#include "commands.hpp"
#include "output.hpp"

#include <blkfilter/control.hpp>

#include <fmt/format.h>
#include <iostream>
#include <memory>
#include <optional>

namespace blkfilter::tool {

namespace {

struct Arguments {
    std::string device;
    std::vector<std::string> entries;
    std::string filter;
    bool json{};
    bool dry_run{};
    bool confirm{};
    bool empty{};
    std::optional<std::uint64_t> expected_generation;
    std::uint32_t limit_ms{};

    [[nodiscard]] StackChange change() const {
        return {.dry_run = dry_run,
                .expected_generation = expected_generation,
                .confirm = confirm,
                .limit = std::chrono::milliseconds{limit_ms}};
    }
};

Result<void> report(const Subject& subject, const Result<std::uint64_t>& generation,
                    const Arguments& arguments) {
    if (!generation)
        return std::unexpected(generation.error());
    const auto name = device_name(subject.device);
    if (arguments.dry_run)
        std::cerr << fmt::format("{}: possible; nothing was changed\n", name);
    else
        std::cout << fmt::format("{}: generation {}\n", name, *generation);
    return {};
}

Result<void> show(const Arguments& arguments) {
    const auto subject = Subject::open(arguments.device);
    if (!subject)
        return std::unexpected(subject.error());
    auto stack = subject->control.stack(subject->device);
    if (!stack)
        return std::unexpected(stack.error());

    const NamedStack named{.device_name = device_name(subject->device), .stack = std::move(*stack)};
    if (arguments.json) {
        std::cout << json_of(named).dump(2) << '\n';
    } else {
        std::cout << table_of(std::span{&named, 1});
        std::cerr << fmt::format("{}: {} filters, generation {}\n", named.device_name,
                                 named.stack.entries.size(), named.stack.generation);
    }
    return {};
}

Result<void> show_statistics(const Arguments& arguments) {
    const auto subject = Subject::open(arguments.device);
    if (!subject)
        return std::unexpected(subject.error());
    const auto stack = subject->control.stack(subject->device);
    if (!stack)
        return std::unexpected(stack.error());
    std::cout << statistics_table_of(*stack);
    return {};
}

Result<void> set(const Arguments& arguments) {
    const auto entries = parse_entries(arguments.entries);
    if (!entries)
        return std::unexpected(entries.error());
    const auto subject = Subject::open(arguments.device);
    if (!subject)
        return std::unexpected(subject.error());
    const auto generation = subject->control.set_stack(subject->device, *entries, arguments.change());
    return report(*subject, generation, arguments);
}

Result<void> confirm(const Arguments& arguments) {
    const auto subject = Subject::open(arguments.device);
    if (!subject)
        return std::unexpected(subject.error());
    const auto as_it_is = [](const Stack& present) -> Result<std::vector<EntryRequest>> {
        std::vector<EntryRequest> wanted(present.entries.size());
        std::ranges::transform(present.entries, wanted.begin(), request_of);
        return wanted;
    };
    auto change = arguments.change();
    change.confirm = true;
    return report(*subject, subject->control.edit_stack(subject->device, as_it_is, change), arguments);
}

Result<void> attach(const Arguments& arguments) {
    const auto entry = parse_entry(arguments.filter);
    if (!entry)
        return std::unexpected(entry.error());
    const auto subject = Subject::open(arguments.device);
    if (!subject)
        return std::unexpected(subject.error());
    return report(*subject, subject->control.attach(subject->device, *entry, arguments.change()), arguments);
}

Result<void> detach(const Arguments& arguments) {
    const auto subject = Subject::open(arguments.device);
    if (!subject)
        return std::unexpected(subject.error());
    return report(*subject, subject->control.detach(subject->device, arguments.filter, arguments.change()),
                  arguments);
}

void add_device(CLI::App& command, Arguments& arguments) {
    command.add_option("DEVICE", arguments.device, "A device node, or its name in /dev")->required();
}

void add_change_options(CLI::App& command, Arguments& arguments) {
    command.add_flag("--dry-run", arguments.dry_run, "Check only, change nothing");
    command.add_option("--expect", arguments.expected_generation,
                       "Fail unless the stack has this generation");
    command.add_option("--limit", arguments.limit_ms, "Milliseconds for which the device may be closed");
}

} // namespace

void add_stack_commands(CLI::App& app, Commands& commands) {
    const auto arguments = std::make_shared<Arguments>();
    const std::string entry_help{entry_syntax};

    auto* stack_command = app.add_subcommand("stack", "Show or set the stack of a device");
    add_device(*stack_command, *arguments);
    stack_command->add_flag("--json", arguments->json, "Print JSON");
    stack_command->require_subcommand(0, 1);

    auto* set_command = stack_command->add_subcommand("set", "Make the stack exactly these filters");
    auto* wanted = set_command->add_option_group("wanted");
    wanted->add_option("ENTRY", arguments->entries, entry_help)->check(entry_complaint);
    wanted->add_flag("--empty", arguments->empty, "Take all filters off");
    wanted->require_option(1);
    add_change_options(*set_command, *arguments);
    set_command->add_flag("--confirm", arguments->confirm, "Filters of provisional rules stay for good");
    commands.emplace_back(set_command, [=] { return set(*arguments); });

    auto* confirm_command =
        stack_command->add_subcommand("confirm", "Filters of provisional rules stay for good");
    commands.emplace_back(confirm_command, [=] { return confirm(*arguments); });
    commands.emplace_back(stack_command, [=] { return show(*arguments); });

    auto* statistics_command =
        app.add_subcommand("statistics", "What the filters of a device have seen, by operation");
    add_device(*statistics_command, *arguments);
    commands.emplace_back(statistics_command, [=] { return show_statistics(*arguments); });

    auto* attach_command = app.add_subcommand("attach", "Add one filter, leave the others");
    add_device(*attach_command, *arguments);
    attach_command->add_option("ENTRY", arguments->filter, entry_help)->required()->check(entry_complaint);
    add_change_options(*attach_command, *arguments);
    commands.emplace_back(attach_command, [=] { return attach(*arguments); });

    auto* detach_command = app.add_subcommand("detach", "Take one filter off, leave the others");
    add_device(*detach_command, *arguments);
    detach_command->add_option("FILTER", arguments->filter, "Its name")->required();
    add_change_options(*detach_command, *arguments);
    commands.emplace_back(detach_command, [=] { return detach(*arguments); });
}

} // namespace blkfilter::tool
