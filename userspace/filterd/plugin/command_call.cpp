// SPDX-License-Identifier: MIT
#include "plugin/command_call.hpp"

#include "config/node.hpp"
#include "plugin/commands.hpp"

#include <algorithm>
#include <cerrno>
#include <fmt/format.h>

namespace filterd::plugin {

using blkfilter::Error;
using blkfilter::Result;
using nlohmann::json;

namespace {

std::unexpected<Error> invalid(std::string message) {
    return std::unexpected(Error{.code = EINVAL, .message = std::move(message)});
}

/// The value as the plugin gets it, or what is wrong with it.
Result<std::string> check_value(const filterd_argument& argument, const json& value) {
    if (argument.type == FILTERD_BOOLEAN)
        return value.is_boolean()
                   ? Result<std::string>{value.get<bool>() ? "1" : "0"}
                   : invalid(fmt::format("'{}' is given or not, and has no value", argument.name));
    if (!value.is_string())
        return invalid(fmt::format("'{}' must be a text", argument.name));
    auto text = value.get<std::string>();
    if (text.find('\0') != std::string::npos)
        return invalid(fmt::format("'{}' must not contain a NUL", argument.name));
    if (argument.type == FILTERD_NUMBER && !config::decimal(text))
        return invalid(fmt::format("'{}' must be a decimal number, not '{}'", argument.name, text));
    if (argument.type == FILTERD_BYTES) {
        const auto bytes = config::parse_bytes(text);
        if (!bytes)
            return invalid(
                fmt::format("'{}' must be a number of bytes such as 64KiB, not '{}'", argument.name, text));
        return fmt::format("{}", *bytes);
    }
    if (const auto words = choices_of(argument);
        argument.type == FILTERD_CHOICE && std::ranges::find(words, text) == words.end())
        return invalid(
            fmt::format("'{}' must be one of {}, not '{}'", argument.name, argument.choices, text));
    return text;
}

} // namespace

bool CommandCall::has_room(std::size_t size) {
    if (size > FILTERD_ANSWER_BYTES - used_) {
        fail(EMSGSIZE, fmt::format("the plugin answers with more than {} bytes", FILTERD_ANSWER_BYTES));
        return false;
    }
    used_ += size;
    return true;
}

const char* CommandCall::argument(const char* name) const {
    const auto found = name ? input_.arguments.find(name) : input_.arguments.end();
    return found == input_.arguments.end() ? nullptr : found->second.c_str();
}

bool CommandCall::number(const char* name, std::uint64_t& value) const {
    const auto* text = argument(name);
    const auto number = text ? config::decimal(text) : std::nullopt;
    if (number)
        value = *number;
    return number.has_value();
}

const char* CommandCall::device() const {
    return input_.device.empty() ? nullptr : input_.device.c_str();
}

const char* CommandCall::setting(const char* name) const {
    const auto found = name ? input_.settings.find(name) : input_.settings.end();
    return found == input_.settings.end() ? nullptr : found->second.c_str();
}

int CommandCall::control(std::uint32_t number, std::span<std::byte> buffer, std::size_t& length) {
    if (!input_.control)
        return -ENODEV;
    const auto done = input_.control(number, buffer);
    if (!done)
        return -done.error().code;
    length = *done;
    return 0;
}

void CommandCall::note_column(const std::string& key) {
    if (known_columns_.insert(key).second)
        columns_.push_back(key);
}

bool CommandCall::answer(std::string_view text) {
    if (!has_room(text.size()))
        return false;
    // An object here has its keys in alphabetical order; people shall see them in the plugin's.
    const auto note = [this](int depth, json::parse_event_t event, const json& parsed) {
        if (depth == 1 && event == json::parse_event_t::key)
            note_column(parsed.get<std::string>());
        return true;
    };
    auto record = json::parse(text, note, false);
    if (!record.is_object()) {
        fail(EPROTO, "the plugin's answer is no JSON object");
        return false;
    }
    records_.push_back(std::move(record));
    return true;
}

bool CommandCall::print(std::string_view text) {
    if (!has_room(text.size()))
        return false;
    text_ += text;
    return true;
}

void CommandCall::fail(int code, std::string text) {
    if (!error_)
        error_ = Error{.code = code > 0 ? code : EIO, .message = std::move(text)};
}

void CommandCall::more(std::string cursor) {
    if (cursor.size() > most_cursor_bytes)
        fail(EMSGSIZE, fmt::format("the plugin's cursor has more than {} bytes", most_cursor_bytes));
    else
        cursor_ = std::move(cursor);
}

void CommandCall::progress(std::uint32_t thousandths, const std::string& text) {
    constexpr std::chrono::milliseconds pause{100};
    constexpr std::size_t most_text_bytes = 256;
    const auto now = std::chrono::steady_clock::now();
    if (!input_.progress || now < next_progress_)
        return;
    next_progress_ = now + pause;
    input_.progress(std::min<std::uint32_t>(thousandths, 1000), text.substr(0, most_text_bytes));
}

Result<json> CommandCall::result(int returned) {
    if (returned != 0)
        fail(EIO, "the plugin's command has failed and does not say why");
    if (!text_.empty() && !records_.empty())
        fail(EPROTO, "the plugin answers with records and with text");
    if (error_)
        return std::unexpected(*error_);
    json answer = text_.empty() ? json{{"records", std::move(records_)}, {"columns", std::move(columns_)}}
                                : json{{"text", text_}};
    if (cursor_)
        answer["cursor"] = *cursor_;
    return answer;
}

Result<std::map<std::string, std::string>> check_arguments(const filterd_command& command,
                                                           const json& given) {
    const auto known = arguments_of(command);
    std::map<std::string, std::string> values;
    for (const auto& [name, value] : given.items()) {
        const auto found = std::ranges::find_if(known, [&](const auto* one) { return name == one->name; });
        if (found == known.end())
            return invalid(fmt::format("'{}' has no argument '{}'", command.name, name));
        auto checked = check_value(**found, value);
        if (!checked)
            return std::unexpected(checked.error());
        values.emplace(name, std::move(*checked));
    }
    for (const auto* argument : known) {
        if ((argument->flags & FILTERD_REQUIRED) != 0 && !values.contains(argument->name))
            return invalid(fmt::format("'{}' needs '{}': {}", command.name, argument->name,
                                       argument->description ? argument->description : ""));
        if (argument->type == FILTERD_CHOICE && !values.contains(argument->name))
            values.emplace(argument->name, choices_of(*argument).front());
    }
    return values;
}

} // namespace filterd::plugin
