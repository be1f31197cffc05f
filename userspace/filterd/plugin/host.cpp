// SPDX-License-Identifier: MIT
#include "plugin/host.hpp"

#include "plugin/command_call.hpp"
#include "plugin/program.hpp"

#include <algorithm>
#include <cerrno>
#include <fmt/format.h>
#include <iostream>
#include <map>
#include <mutex>

namespace filterd::plugin {

using config::Node;

namespace {

thread_local const std::string* calling = nullptr;

} // namespace

bool Sink::write(const void* data, std::size_t size) {
    if (size > most_bytes - text_.size()) {
        overflowed_ = true;
        return false;
    }
    text_.append(static_cast<const char*>(data), size);
    return true;
}

const filterd_node* Values::add(const Node& node) {
    values_.push_back({this, node});
    return reinterpret_cast<const filterd_node*>(&values_.back());
}

const filterd_node* Values::mapping(const std::vector<std::pair<Node, Node>>& entries) {
    entries_ = entries;
    values_.push_back({this, {}});
    return reinterpret_cast<const filterd_node*>(&values_.back());
}

void Values::refuse_unknown(std::string_view filter) const {
    // A misspelt 'altitude' has come to the plugin too.
    std::vector<std::string_view> known{asked_.begin(), asked_.end()};
    known.insert(known.end(), {"altitude", "filter"});
    for (const auto& [key, value] : entries_) {
        const auto& name = key.yaml().Scalar();
        if (asked_.contains(name))
            continue;
        diagnostics_->error(key.position(), fmt::format("filter '{}' has no key '{}'{}", filter, name,
                                                        config::did_you_mean(name, known)));
    }
}

/// The functions of struct filterd_host. A NULL node is a plugin's error that must not be ours.
struct Services {
    static Values::Value* value_of(const filterd_node* node) {
        return const_cast<Values::Value*>(reinterpret_cast<const Values::Value*>(node));
    }

    static void log(filterd_priority priority, const char* line) {
        // A thread of a plugin's own has no call.
        const std::string said = line ? line : "";
        const auto text = calling ? fmt::format("plugin {}: {}", *calling, said) : said;
        if (const auto& tell = surroundings().tell)
            tell({.priority = static_cast<Priority>(std::clamp(priority, FILTERD_ERROR, FILTERD_DEBUG)),
                  .type = "plugin",
                  .text = text});
        else
            std::cerr << text << '\n';
    }

    static const filterd_node* find(const filterd_node* mapping, const char* key) {
        auto* value = value_of(mapping);
        if (!value || !key)
            return nullptr;
        auto& owner = *value->owner;
        if (value->node) {
            const auto& yaml = value->node->yaml();
            const auto found = yaml.IsMap() ? yaml[key] : YAML::Node{YAML::NodeType::Undefined};
            return found.IsDefined() ? owner.add(value->node->sibling(found)) : nullptr;
        }
        owner.asked_.insert(key);
        const auto found = std::ranges::find_if(
            owner.entries_, [&](const auto& entry) { return entry.first.yaml().Scalar() == key; });
        return found == owner.entries_.end() ? nullptr : owner.add(found->second);
    }

    static std::size_t count(const filterd_node* list) {
        const auto* value = value_of(list);
        return value && value->node && value->node->yaml().IsSequence() ? value->node->yaml().size() : 0;
    }

    static const filterd_node* at(const filterd_node* list, std::size_t index) {
        auto* value = value_of(list);
        if (index >= count(list) || !value->node)
            return nullptr;
        return value->owner->add(value->node->sibling(value->node->yaml()[index]));
    }

    static void error(const filterd_node* node, const char* text) {
        const auto* value = value_of(node);
        if (value)
            value->owner->diagnostics_->error(value->node ? value->node->position() : value->owner->position_,
                                              text ? text : "");
    }

    static const char* text(const filterd_node* node, const char* what) {
        auto* value = value_of(node);
        if (!value || !value->node)
            return nullptr;
        auto text = config::read_text(*value->node, what, *value->owner->diagnostics_);
        return text ? value->owner->texts_.emplace_back(std::move(*text)).c_str() : nullptr;
    }

    template <class Value, class Read>
    static bool read(const filterd_node* node, Value* result, Read&& read_it) {
        auto* value = value_of(node);
        if (!value || !value->node)
            return false;
        const auto got = read_it(*value->node, *value->owner->diagnostics_);
        if (got)
            *result = *got;
        return got.has_value();
    }

    static bool boolean(const filterd_node* node, const char* what, bool* result) {
        return read(node, result, [&](const Node& value, auto& diagnostics) {
            return config::read_boolean(value, what, diagnostics);
        });
    }

    static bool number(const filterd_node* node, const char* what, std::uint64_t least, std::uint64_t most,
                       std::uint64_t* result) {
        return read(node, result, [&](const Node& value, auto& diagnostics) {
            return config::read_number(value, what, least, most, diagnostics);
        });
    }

    static bool bytes(const filterd_node* node, const char* what, std::uint64_t* result) {
        return read(node, result, [&](const Node& value, auto& diagnostics) {
            return config::read_bytes(value, what, diagnostics);
        });
    }

    static CommandCall* call_of(filterd_call* call) { return reinterpret_cast<CommandCall*>(call); }
    static const CommandCall* call_of(const filterd_call* call) {
        return reinterpret_cast<const CommandCall*>(call);
    }

    static const char* argument(const filterd_call* call, const char* name) {
        return call ? call_of(call)->argument(name) : nullptr;
    }

    static bool number_argument(const filterd_call* call, const char* name, std::uint64_t* value) {
        return call && value && call_of(call)->number(name, *value);
    }

    static const char* device(const filterd_call* call) { return call ? call_of(call)->device() : nullptr; }

    static int control(filterd_call* call, std::uint32_t number, void* buffer, std::size_t size,
                       std::size_t* length) {
        std::size_t answered = 0;
        if (!call || (!buffer && size != 0))
            return -EINVAL;
        const int result = call_of(call)->control(number, {static_cast<std::byte*>(buffer), size}, answered);
        if (length)
            *length = answered;
        return result;
    }

    static bool answer(filterd_call* call, const char* json) {
        return call && json && call_of(call)->answer(json);
    }

    static bool print(filterd_call* call, const char* text) {
        return call && text && call_of(call)->print(text);
    }

    static void more(filterd_call* call, const char* cursor) {
        if (call && cursor)
            call_of(call)->more(cursor);
    }

    static void fail(filterd_call* call, int code, const char* text) {
        if (call)
            call_of(call)->fail(code, text ? text : "");
    }

    static void progress(filterd_call* call, std::uint32_t thousandths, const char* text) {
        if (call)
            call_of(call)->progress(thousandths, text ? text : "");
    }

    /// One for each plugin, made when it asks; its text stays.
    static const char* state_folder() {
        static std::mutex mutex;
        static std::map<std::string, std::string> folders;
        if (!calling || surroundings().state_folder.empty())
            return nullptr;
        const std::scoped_lock lock{mutex};
        const auto [folder, added] = folders.try_emplace(*calling);
        std::error_code error;
        if (added)
            folder->second = surroundings().state_folder / *calling;
        std::filesystem::create_directories(folder->second, error);
        return error ? nullptr : folder->second.c_str();
    }

    static const char* device_at(const filterd_call* call, std::size_t index) {
        const auto* device = call ? call_of(call)->device_at(index) : nullptr;
        return device ? device->name.c_str() : nullptr;
    }

    static const char* declared_at(const filterd_call* call, std::size_t index) {
        const auto* device = call ? call_of(call)->device_at(index) : nullptr;
        return device ? device->declared.c_str() : nullptr;
    }

    static const char* setting(const filterd_call* call, const char* name) {
        return call ? call_of(call)->setting(name) : nullptr;
    }

    static int run(const char* command, const char* const* environment, std::uint32_t seconds) {
        return command ? run_shell(command, environment, std::chrono::seconds{seconds}) : -EINVAL;
    }

    static bool write(filterd_sink* sink, const void* data, std::size_t size) {
        return sink && reinterpret_cast<Sink*>(sink)->write(data, size);
    }
};

Call::Call(const std::string& plugin, std::string_view what) : note_{plugin, what} {
    calling = &plugin;
}

Call::~Call() {
    calling = nullptr;
}

Surroundings& surroundings() {
    static Surroundings all;
    return all;
}

const filterd_host& services() {
    static constexpr filterd_host host{.size = sizeof(filterd_host),
                                       .interface = FILTERD_PLUGIN_INTERFACE,
                                       .log = Services::log,
                                       .find = Services::find,
                                       .count = Services::count,
                                       .at = Services::at,
                                       .error = Services::error,
                                       .text = Services::text,
                                       .boolean = Services::boolean,
                                       .number = Services::number,
                                       .bytes = Services::bytes,
                                       .write = Services::write,
                                       .argument = Services::argument,
                                       .number_argument = Services::number_argument,
                                       .device = Services::device,
                                       .control = Services::control,
                                       .answer = Services::answer,
                                       .print = Services::print,
                                       .more = Services::more,
                                       .fail = Services::fail,
                                       .progress = Services::progress,
                                       .state_folder = Services::state_folder,
                                       .device_at = Services::device_at,
                                       .declared_at = Services::declared_at,
                                       .setting = Services::setting,
                                       .run = Services::run};
    return host;
}

} // namespace filterd::plugin
