// SPDX-License-Identifier: MIT
/// @file
/// A filterd for one call: arguments and the kernel are what a test says, the answer is kept.
#pragma once

#include <filterd/plugin.h>

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <dlfcn.h>
#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace filterd::test {

/// What plugins know as struct filterd_call.
struct FakeCall {
    using Kernel =
        std::function<int(std::uint32_t number, void* buffer, std::size_t size, std::size_t* length)>;

    std::map<std::string, std::string> arguments{};
    Kernel kernel{};
    const char* device = "no-such-disk";
    std::map<std::string, std::string> settings{};
    std::vector<std::string> devices{}; ///< of a command with FILTERD_DEVICES

    std::vector<nlohmann::json> records{};
    std::optional<std::string> text{};
    std::optional<std::string> cursor{};
    int code{};
    std::string failure{};
    std::uint32_t thousandths{};
    std::size_t answer_bytes{};

    filterd_call* handle() { return reinterpret_cast<filterd_call*>(this); }

    [[nodiscard]] bool has_room(std::size_t size) {
        answer_bytes += size;
        return answer_bytes <= FILTERD_ANSWER_BYTES;
    }
};

/// A key of a configuration and its value, as text.
using FakeConfig = std::map<std::string, std::string>;

/// What was said of values; kept, as the functions of a host have no object.
inline std::vector<std::string>& reported() {
    static std::vector<std::string> texts;
    return texts;
}

/// The functions of struct filterd_host. Nodes are texts; the mapping of all is a FakeConfig.
struct FakeHost {
    static FakeCall* of(const filterd_call* call) {
        return const_cast<FakeCall*>(reinterpret_cast<const FakeCall*>(call));
    }

    static const char* text_of(const filterd_node* node) {
        return reinterpret_cast<const std::string*>(node)->c_str();
    }

    static void log(filterd_priority, const char* line) { reported().emplace_back(line); }

    static const filterd_node* find(const filterd_node* mapping, const char* key) {
        const auto& config = *reinterpret_cast<const FakeConfig*>(mapping);
        const auto found = config.find(key);
        return found == config.end() ? nullptr : reinterpret_cast<const filterd_node*>(&found->second);
    }

    /// A list is one value, again and again: as many as the text has characters.
    static std::size_t count(const filterd_node* list) { return std::string_view{text_of(list)}.size(); }
    static const filterd_node* at(const filterd_node* list, std::size_t) { return list; }

    static void error(const filterd_node*, const char* text) { reported().emplace_back(text); }

    static const char* text(const filterd_node* node, const char*) { return text_of(node); }

    static bool boolean(const filterd_node* node, const char*, bool* value) {
        *value = std::string_view{text_of(node)} == "true";
        return true;
    }

    static bool number(const filterd_node* node, const char* what, std::uint64_t least, std::uint64_t most,
                       std::uint64_t* value) {
        *value = std::stoull(text_of(node));
        if (*value >= least && *value <= most)
            return true;
        reported().push_back(std::string{what} + " is out of range");
        return false;
    }

    static bool bytes(const filterd_node* node, const char*, std::uint64_t* value) {
        *value = std::stoull(text_of(node));
        return true;
    }

    static bool write(filterd_sink* sink, const void* data, std::size_t size) {
        auto& text = *reinterpret_cast<std::string*>(sink);
        if (size > FILTERD_ANSWER_BYTES - text.size())
            return false;
        text.append(static_cast<const char*>(data), size);
        return true;
    }

    static const char* argument(const filterd_call* call, const char* name) {
        const auto found = of(call)->arguments.find(name);
        return found == of(call)->arguments.end() ? nullptr : found->second.c_str();
    }

    static bool number_argument(const filterd_call* call, const char* name, std::uint64_t* value) {
        const char* text = argument(call, name);
        if (text)
            *value = std::stoull(text);
        return text != nullptr;
    }

    static const char* device(const filterd_call* call) { return of(call)->device; }

    static int control(filterd_call* call, std::uint32_t number, void* buffer, std::size_t size,
                       std::size_t* length) {
        return of(call)->kernel(number, buffer, size, length);
    }

    static bool answer(filterd_call* call, const char* json) {
        auto record = nlohmann::json::parse(json, nullptr, false);
        if (!record.is_object() || !of(call)->has_room(std::string_view{json}.size()))
            return false;
        of(call)->records.push_back(std::move(record));
        return true;
    }

    static bool print(filterd_call* call, const char* text) {
        if (!of(call)->records.empty() || !of(call)->has_room(std::string_view{text}.size()))
            return false;
        of(call)->text = of(call)->text.value_or("") + text;
        return true;
    }

    static void more(filterd_call* call, const char* cursor) { of(call)->cursor = cursor; }

    static void fail(filterd_call* call, int code, const char* text) {
        of(call)->code = code;
        of(call)->failure = text;
    }

    static void progress(filterd_call* call, std::uint32_t thousandths, const char*) {
        of(call)->thousandths = thousandths;
    }

    static const char* state_folder() { return nullptr; }

    static const char* device_at(const filterd_call* call, std::size_t index) {
        return index < of(call)->devices.size() ? of(call)->devices[index].c_str() : nullptr;
    }

    static const char* setting(const filterd_call* call, const char* name) {
        const auto found = of(call)->settings.find(name);
        return found == of(call)->settings.end() ? nullptr : found->second.c_str();
    }

    static int run(const char*, const char* const*, std::uint32_t) { return 0; }
};

inline filterd_host fake_host() {
    return {.size = sizeof(filterd_host),
            .interface = FILTERD_PLUGIN_INTERFACE,
            .log = FakeHost::log,
            .find = FakeHost::find,
            .count = FakeHost::count,
            .at = FakeHost::at,
            .error = FakeHost::error,
            .text = FakeHost::text,
            .boolean = FakeHost::boolean,
            .number = FakeHost::number,
            .bytes = FakeHost::bytes,
            .write = FakeHost::write,
            .argument = FakeHost::argument,
            .number_argument = FakeHost::number_argument,
            .device = FakeHost::device,
            .control = FakeHost::control,
            .answer = FakeHost::answer,
            .print = FakeHost::print,
            .more = FakeHost::more,
            .fail = FakeHost::fail,
            .progress = FakeHost::progress,
            .state_folder = FakeHost::state_folder,
            .device_at = FakeHost::device_at,
            .declared_at = FakeHost::device_at,
            .setting = FakeHost::setting,
            .run = FakeHost::run};
}

/// Opens a file as filterd does; NULL, with the reason on standard error, when that fails.
inline const filterd_plugin* plugin_of(const char* file) {
    void* library = dlopen(file, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
    if (!library) {
        std::fprintf(stderr, "%s\n", dlerror());
        return nullptr;
    }
    const auto entry = reinterpret_cast<const filterd_plugin* (*)()>(dlsym(library, "filterd_plugin_entry"));
    return entry ? entry() : nullptr;
}

/// A command of a plugin by its name; NULL when it has none.
inline const filterd_command* command_of(const filterd_plugin& plugin, std::string_view name) {
    for (const auto* const* command = plugin.commands; command && *command; ++command)
        if ((*command)->name == name)
            return *command;
    return nullptr;
}

} // namespace filterd::test
