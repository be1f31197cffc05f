// SPDX-License-Identifier: MIT
#include "plugin/commands.hpp"

#include <algorithm>
#include <array>
#include <fmt/format.h>
#include <ranges>
#include <set>
#include <string_view>

namespace filterd::plugin {

namespace {

constexpr std::size_t most_of_a_kind = 64; ///< commands of a plugin, arguments of a command
constexpr std::size_t longest_word = 31;
constexpr std::size_t size_of_command = offsetof(filterd_command, run) + sizeof(filterd_command::run);
constexpr std::size_t size_of_argument =
    offsetof(filterd_argument, choices) + sizeof(filterd_argument::choices);

/// What stands behind the last of a list is NULL; not all are read of one that does not end.
template <class One>
std::vector<const One*> list_of(const One* const* list) {
    std::vector<const One*> all;
    for (; list && *list && all.size() <= most_of_a_kind; ++list)
        all.push_back(*list);
    return all;
}

bool is_word(const char* text) {
    const std::string_view word{text ? text : ""};
    return !word.empty() && word.size() <= longest_word && word.front() != '-' &&
           std::ranges::all_of(word, [](unsigned char c) {
               return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
           });
}

std::string not_a_word(std::string_view what, const char* text) {
    return fmt::format("{} '{}' must be of lower-case letters, digits and '-', at most {}", what,
                       text ? text : "", longest_word);
}

std::string wrong_with_argument(const filterd_argument& argument, std::set<std::string>& known) {
    if (argument.size < size_of_argument)
        return fmt::format("an argument says that it has {} bytes", argument.size);
    if (!is_word(argument.name))
        return not_a_word("the argument", argument.name);
    if (std::string_view{argument.name} == "cursor" || !known.insert(argument.name).second)
        return fmt::format("there is an argument '{}' already", argument.name);
    if (argument.type < FILTERD_TEXT || argument.type > FILTERD_CHOICE)
        return fmt::format("the argument '{}' is of type {}, which this filterd does not know", argument.name,
                           argument.type);
    if (argument.type == FILTERD_CHOICE && (!argument.choices || !*argument.choices))
        return fmt::format("the argument '{}' has no choices", argument.name);
    return {};
}

std::string wrong_with_command(const filterd_command& command, std::set<std::string>& known) {
    if (command.size < size_of_command)
        return fmt::format("a command says that it has {} bytes", command.size);
    if (!is_word(command.name))
        return not_a_word("the command", command.name);
    if (!known.insert(command.name).second)
        return fmt::format("there are two commands '{}'", command.name);
    if (!command.run)
        return fmt::format("the command '{}' lacks 'run'", command.name);
    const auto arguments = arguments_of(command);
    if (arguments.size() > most_of_a_kind)
        return fmt::format("the command '{}' has more than {} arguments", command.name, most_of_a_kind);
    std::set<std::string> names;
    for (const auto* argument : arguments)
        if (auto wrong = wrong_with_argument(*argument, names); !wrong.empty())
            return fmt::format("the command '{}': {}", command.name, wrong);
    return {};
}

} // namespace

std::vector<const filterd_command*> commands_of(const filterd_plugin& plugin) {
    return list_of(plugin.commands);
}

std::vector<const filterd_argument*> arguments_of(const filterd_command& command) {
    return list_of(command.arguments);
}

std::vector<std::string> choices_of(const filterd_argument& argument) {
    std::vector<std::string> words;
    for (const auto word : std::views::split(std::string_view{argument.choices ? argument.choices : ""}, '|'))
        words.emplace_back(word.begin(), word.end());
    return words;
}

std::string wrong_with_commands(const filterd_plugin& plugin) {
    if (plugin.noun && !is_word(plugin.noun))
        return not_a_word("the noun", plugin.noun);
    const auto commands = commands_of(plugin);
    if (commands.size() > most_of_a_kind)
        return fmt::format("it has more than {} commands", most_of_a_kind);
    std::set<std::string> names;
    for (const auto* command : commands)
        if (auto wrong = wrong_with_command(*command, names); !wrong.empty())
            return wrong;
    return {};
}

nlohmann::json describe_command(const filterd_command& command) {
    constexpr std::array<std::string_view, 6> types{"", "text", "number", "bytes", "boolean", "choice"};
    auto arguments = nlohmann::json::array();
    for (const auto* argument : arguments_of(command)) {
        arguments.push_back({{"name", argument->name},
                             {"type", types.at(argument->type)},
                             {"description", argument->description ? argument->description : ""},
                             {"required", (argument->flags & FILTERD_REQUIRED) != 0},
                             {"positional", (argument->flags & FILTERD_POSITIONAL) != 0},
                             {"repeated", (argument->flags & FILTERD_REPEATED) != 0}});
        if (argument->type == FILTERD_CHOICE)
            arguments.back()["choices"] = choices_of(*argument);
    }
    return {{"name", command.name},
            {"description", command.description ? command.description : ""},
            {"changes", (command.flags & FILTERD_CHANGES) != 0},
            {"device", (command.flags & FILTERD_DEVICE) != 0},
            {"devices", (command.flags & FILTERD_DEVICES) != 0},
            {"mount", (command.flags & FILTERD_MOUNT) != 0},
            {"arguments", std::move(arguments)}};
}

} // namespace filterd::plugin
