// SPDX-License-Identifier: MIT
#include "arguments.hpp"
#include "commands.hpp"

#include <blkfilter/control.hpp>
#include <blkfilter/node.hpp>

#include <iostream>
#include <memory>

namespace blkfilter::tool {

namespace {

struct Arguments {
    std::string device;
    std::string filter;
    std::uint32_t number{};
    std::string argument_hex;
    std::size_t room_bytes{};

    /// The command's argument, with zeroes up to the room for the answer.
    [[nodiscard]] Result<Bytes> argument() const {
        auto bytes = from_hex(argument_hex);
        if (bytes)
            bytes->resize(std::max(bytes->size(), room_bytes));
        return bytes;
    }
};

void print_answer(std::span<const std::byte> answer) {
    if (!answer.empty())
        std::cout << to_hex(answer) << '\n';
}

Result<void> send(const Arguments& arguments) {
    auto argument = arguments.argument();
    if (!argument)
        return std::unexpected(argument.error());
    const auto subject = Subject::open(arguments.device);
    if (!subject)
        return std::unexpected(subject.error());
    const auto answer_bytes =
        subject->control.command(subject->device, arguments.filter, arguments.number, *argument);
    if (!answer_bytes)
        return std::unexpected(answer_bytes.error());
    print_answer(std::span{*argument}.first(*answer_bytes));
    return {};
}

Result<void> node_attach(const Arguments& arguments) {
    const auto node = Node::open(arguments.device);
    if (!node)
        return std::unexpected(node.error());
    return node->attach(arguments.filter);
}

Result<void> node_detach(const Arguments& arguments) {
    const auto node = Node::open(arguments.device);
    if (!node)
        return std::unexpected(node.error());
    return node->detach(arguments.filter);
}

Result<void> node_send(const Arguments& arguments) {
    auto argument = arguments.argument();
    if (!argument)
        return std::unexpected(argument.error());
    const auto node = Node::open(arguments.device);
    if (!node)
        return std::unexpected(node.error());
    const auto answer_bytes = node->control(arguments.filter, arguments.number, *argument);
    if (!answer_bytes)
        return std::unexpected(answer_bytes.error());
    print_answer(std::span{*argument}.first(*answer_bytes));
    return {};
}

void add_command_arguments(CLI::App& command, Arguments& arguments) {
    command.add_option("CMD", arguments.number, "The command's number")->required();
    command.add_option("HEXDATA", arguments.argument_hex, "Its argument, in hexadecimal");
    command.add_option("--room", arguments.room_bytes,
                       "Bytes for the answer, where it is longer than the argument");
}

} // namespace

void add_filter_commands(CLI::App& app, Commands& commands) {
    const auto arguments = std::make_shared<Arguments>();
    const auto add = [&](const char* name, const char* help, const char* device_help,
                         Result<void> (*run)(const Arguments&)) {
        auto* command = app.add_subcommand(name, help);
        command->add_option("DEVICE", arguments->device, device_help)->required();
        command->add_option("FILTER", arguments->filter, "The filter's name")->required();
        commands.emplace_back(command, [=] { return run(*arguments); });
        return command;
    };
    constexpr auto device_help = "A device node, or its name in /dev";
    constexpr auto node_help = "The path of a device node";

    add_command_arguments(*add("command", "Send a command to a filter, print its answer", device_help, send),
                          *arguments);
    add("node-attach", "Attach a filter through the device's node", node_help, node_attach);
    add("node-detach", "Detach a filter through the device's node", node_help, node_detach);
    add_command_arguments(
        *add("node-command", "Send a command through the device's node", node_help, node_send), *arguments);
}

} // namespace blkfilter::tool
