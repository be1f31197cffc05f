// SPDX-License-Identifier: MIT
/// @file
/// What plugins use of filterd: struct filterd_host of <filterd/plugin.h>, on the functions of
/// config/node.hpp and CommandCall.
#pragma once

#include "config/node.hpp"
#include "daemon/notice.hpp"
#include "plugin/crash.hpp"

#include <filterd/plugin.h>

#include <cstddef>
#include <deque>
#include <filesystem>
#include <functional>
#include <optional>
#include <set>
#include <string>
#include <string_view>

namespace filterd::plugin {

/// An answer of a plugin.
class Sink {
public:
    static constexpr std::size_t most_bytes = FILTERD_ANSWER_BYTES;

    bool write(const void* data, std::size_t size);
    [[nodiscard]] const std::string& text() const { return text_; }
    [[nodiscard]] bool overflowed() const { return overflowed_; }

    /// As plugins know it.
    filterd_sink* handle() { return reinterpret_cast<filterd_sink*>(this); }

private:
    std::string text_;
    bool overflowed_{};
};

/// The values of one call to a plugin: they live as long as it.
class Values {
public:
    Values(config::Diagnostics& diagnostics, config::Position position)
        : diagnostics_{&diagnostics}, position_{std::move(position)} {}

    /// The mapping of the filter's own keys, as plugins know it.
    const filterd_node* mapping(const std::vector<std::pair<config::Node, config::Node>>& entries);

    /// Reports each key that the plugin has not asked for.
    void refuse_unknown(std::string_view filter) const;

private:
    friend struct Services;

    /// A value, or the mapping of the filter's own keys.
    struct Value {
        Values* owner;
        std::optional<config::Node> node;
    };

    const filterd_node* add(const config::Node& node);

    config::Diagnostics* diagnostics_;
    config::Position position_;
    std::vector<std::pair<config::Node, config::Node>> entries_;
    std::set<std::string, std::less<>> asked_;
    std::deque<Value> values_;
    std::deque<std::string> texts_;
};

/// While it lives, this thread is in that plugin: its lines in the journal have the plugin's name, and a
/// crash is noted.
class Call {
public:
    Call(const std::string& plugin, std::string_view what);
    Call(const Call&) = delete;
    Call& operator=(const Call&) = delete;
    ~Call();

private:
    InPlugin note_;
};

/// Where the plugins' lines and their state go. To be set before the first plugin is loaded.
struct Surroundings {
    Tell tell{};                          ///< nothing: to standard error
    std::filesystem::path state_folder{}; ///< one of each plugin's is in it; empty: none
};
Surroundings& surroundings();

/// The services, the same for all plugins.
const filterd_host& services();

} // namespace filterd::plugin
