// SPDX-License-Identifier: MIT
#include "commands/plugin_command.hpp"
#include "commands/arguments.hpp"
#include "commands/mount.hpp"
#include "output/answer.hpp"

#include <algorithm>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <memory>
#include <set>

namespace filterctl {

namespace {

/// An argument with what was given for it.
struct Given {
    PluginArgument argument;
    const CLI::Option* option;
};

std::vector<std::string> words_of(const Json& words) {
    std::vector<std::string> texts;
    for (const auto& word : words)
        if (word.is_string())
            texts.push_back(word.get<std::string>());
    return texts;
}

PluginArgument argument_of(const Json& json) {
    return {.name = text_of(json, "name"),
            .type = text_of(json, "type"),
            .description = text_of(json, "description"),
            .required = is_true(json, "required"),
            .positional = is_true(json, "positional"),
            .repeated = is_true(json, "repeated"),
            .choices = words_of(list_of(json, "choices"))};
}

PluginCommand command_of(const Json& json) {
    PluginCommand command{.name = text_of(json, "name"),
                          .description = text_of(json, "description"),
                          .changes = is_true(json, "changes"),
                          .device = is_true(json, "device"),
                          .devices = is_true(json, "devices"),
                          .mount = is_true(json, "mount"),
                          .arguments = {}};
    for (const auto& argument : list_of(json, "arguments"))
        command.arguments.push_back(argument_of(argument));
    return command;
}

/// A filter's name, which may be a noun, has more letters than other names.
bool is_name(const std::string& name) {
    return !name.empty() && name.front() != '-' && std::ranges::all_of(name, [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
               c == '_' || c == '.';
    });
}

/// Whether it can be a command: CLI11 would throw at what cannot.
bool is_sound(const PluginCommand& command) {
    std::set<std::string> names{"help"};
    if (command.devices)
        names.insert("group");
    if (command.mount)
        names.insert("on");
    return is_name(command.name) && std::ranges::all_of(command.arguments, [&](const auto& argument) {
               return is_name(argument.name) && names.insert(argument.name).second;
           });
}

/// What help shows of a type, and what is checked of it.
void add_type(CLI::Option* option, const PluginArgument& argument, CommandLine& line) {
    if (argument.type == "number") {
        option->type_name("NUMBER")->check(number_complaint);
    } else if (argument.type == "bytes") {
        option->type_name("BYTES")->check(bytes_complaint);
    } else if (argument.type == "choice") {
        option->type_name(fmt::format("{}", fmt::join(argument.choices, "|")));
        option->check([choices = argument.choices](const std::string& text) {
            return std::ranges::find(choices, text) != choices.end()
                       ? std::string{}
                       : fmt::format("must be one of {}, not '{}'", fmt::join(choices, ", "), text);
        });
        if (!argument.required && !argument.choices.empty())
            option->default_str(argument.choices.front());
        line.hints.emplace(option, Hint{.kind = Hint::Kind::words, .words = argument.choices});
    } else {
        option->type_name("TEXT");
    }
}

CLI::Option* add_argument(CLI::App* command, const PluginArgument& argument, CommandLine& line) {
    const auto& help = argument.description;
    if (argument.type == "boolean")
        return command->add_flag("--" + argument.name, help);
    auto* option = command->add_option(
        argument.positional ? argument.name : "--" + argument.name,
        [](const CLI::results_t&) { return true; }, help);
    option->required(argument.required);
    if (argument.repeated)
        option->expected(1, CLI::detail::expected_max_vector_size)->allow_extra_args();
    add_type(option, argument, line);
    return option;
}

/// The "arguments" of a request: texts and truths, only those that were given.
Json arguments_of(const std::vector<Given>& all) {
    auto arguments = Json::object();
    for (const auto& [argument, option] : all) {
        if (option->count() == 0)
            continue;
        if (argument.type == "boolean")
            arguments[argument.name] = true;
        else
            arguments[argument.name] = fmt::format("{}", fmt::join(option->results(), " "));
    }
    return arguments;
}

/// What is given for a command.
struct CommandLineOf {
    std::string device{};
    std::vector<std::string> devices{};
    std::string group{};
    std::vector<Given> arguments{};
    std::string folder{}; ///< of a command that mounts
};

Json request_of(const PluginNoun& noun, const PluginCommand& command, const CommandLineOf& given) {
    Json request{{"noun", noun.noun}, {"command", command.name}};
    if (!given.device.empty())
        request["device"] = given.device;
    if (!given.devices.empty())
        request["devices"] = given.devices;
    if (!given.group.empty())
        request["group"] = given.group;
    request["arguments"] = arguments_of(given.arguments);
    return request;
}

constexpr const char* device_help = "Its declared name, the kernel's, or a path";

void add_devices(CLI::App* added, CommandLineOf& given, CommandLine& line) {
    auto* devices = added->add_option("DEVICE", given.devices, device_help);
    line.hints.emplace(devices, Hint{.kind = Hint::Kind::device});
    auto* group = added->add_option("--group", given.group, "All devices of a group of the configuration")
                      ->type_name("GROUP");
    line.hints.emplace(group, Hint{.kind = Hint::Kind::group});
}

void add_command(CLI::App* app, const PluginNoun& noun, const PluginCommand& command, CommandLine& line) {
    const auto given = std::make_shared<CommandLineOf>();
    auto* added =
        line.add_command(app, command.name, command.description, [given, noun, command](Session& session) {
            auto request = request_of(noun, command, *given);
            if (command.mount)
                return run_mount_command(session, request, given->folder);
            return run_plugin_command(session, std::move(request), command.changes ? for_ever : a_while);
        });
    if (command.device)
        line.add_argument(added, "DEVICE", given->device, device_help, Hint::Kind::device);
    if (command.devices)
        add_devices(added, *given, line);
    for (const auto& argument : command.arguments)
        given->arguments.push_back({argument, add_argument(added, argument, line)});
    if (command.mount)
        added->add_option("--on", given->folder, "The folder to mount it on")
            ->type_name("FOLDER")
            ->required();
}

} // namespace

std::vector<PluginNoun> nouns_of(const Json& reply) {
    std::vector<PluginNoun> nouns;
    for (const auto& plugin : list_of(reply, "plugins")) {
        PluginNoun noun{.noun = text_of(plugin, "noun"),
                        .plugin = text_of(plugin, "name"),
                        .description = text_of(plugin, "description"),
                        .why = text_of(plugin, "why"),
                        .commands = {}};
        for (const auto& json : list_of(plugin, "commands"))
            if (auto command = command_of(json); is_sound(command))
                noun.commands.push_back(std::move(command));
        // One that is not loaded cannot say its noun.
        if (noun.noun.empty())
            noun.noun = noun.plugin;
        if (is_name(noun.noun))
            nouns.push_back(std::move(noun));
    }
    return nouns;
}

bool add_plugin_noun(CommandLine& line, const PluginNoun& noun) {
    if (line.has_noun(noun.noun))
        return false;
    auto* app = line.add_noun(noun.noun, noun.description);
    for (const auto& command : noun.commands)
        add_command(app, noun, command, line);
    return true;
}

Result<ExitCode> run_plugin_command(Session& session, Json request,
                                    const std::optional<double>& usual_seconds) {
    AnswerPrinter printer{session.output(), session.globals().json};
    const auto fail = [&](Failure failure) -> Result<ExitCode> {
        // What there is of the answer.
        if (failure.details.is_object() && printer.page(failure.details))
            failure.details = nullptr;
        printer.end(&failure);
        return std::unexpected(std::move(failure));
    };
    for (;;) {
        const auto reply = session.ask("command", request, usual_seconds);
        if (!reply)
            return fail(reply.error());
        if (auto printed = printer.page(*reply); !printed)
            return fail(std::move(printed.error()));
        const auto& cursor = member(*reply, "cursor");
        if (cursor.is_null())
            break;
        if (cursor == member(request, "cursor"))
            return fail(
                {.code = "failed", .message = "the plugin answers with the same page again and again"});
        request["cursor"] = cursor;
    }
    printer.end();
    return ExitCode::done;
}

} // namespace filterctl
