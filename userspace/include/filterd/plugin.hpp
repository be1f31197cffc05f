// SPDX-License-Identifier: MIT
/// @file
/// A plugin of filterd in C++: a class with one function, and FILTERD_PLUGIN(). See <filterd/plugin.h> for
/// the rules.
///
///     class Mine : public filterd::Plugin {
///         std::string options(const filterd::Config& config) override {
///             return "level=" + std::to_string(config.number("level", 1, 9).value_or(5));
///         }
///     };
///     FILTERD_PLUGIN(Mine, "mine", "1.0", "An example", "mine", "mine-module")
#pragma once

#include <filterd/plugin.h>

#include <cstdint>
#include <exception>
#include <optional>
#include <string>
#include <string_view>

namespace filterd {

/// What filterd offers; set before the first call.
inline const filterd_host*& host() {
    static const filterd_host* services = nullptr;
    return services;
}

/// The filter's own keys in a stack. A value that is wrong is reported with its place, and read as one that
/// is not there: filterd refuses the file.
class Config {
public:
    explicit Config(const filterd_node* mapping) : mapping_{mapping} {}

    [[nodiscard]] std::optional<std::string> text(const std::string& key) const {
        const auto* node = host()->find(mapping_, key.c_str());
        const char* value = node ? host()->text(node, quoted(key).c_str()) : nullptr;
        return value ? std::optional<std::string>{value} : std::nullopt;
    }

    [[nodiscard]] std::optional<bool> boolean(const std::string& key) const {
        bool value = false;
        const auto* node = host()->find(mapping_, key.c_str());
        return node && host()->boolean(node, quoted(key).c_str(), &value) ? std::optional{value}
                                                                          : std::nullopt;
    }

    [[nodiscard]] std::optional<std::uint64_t> number(const std::string& key, std::uint64_t least,
                                                      std::uint64_t most) const {
        std::uint64_t value = 0;
        const auto* node = host()->find(mapping_, key.c_str());
        return node && host()->number(node, quoted(key).c_str(), least, most, &value) ? std::optional{value}
                                                                                      : std::nullopt;
    }

    [[nodiscard]] std::optional<std::uint64_t> bytes(const std::string& key) const {
        std::uint64_t value = 0;
        const auto* node = host()->find(mapping_, key.c_str());
        return node && host()->bytes(node, quoted(key).c_str(), &value) ? std::optional{value} : std::nullopt;
    }

    /// What is wrong with the value of a key that is there.
    void error(const std::string& key, const std::string& text) const {
        host()->error(host()->find(mapping_, key.c_str()), text.c_str());
    }

private:
    static std::string quoted(const std::string& key) { return "'" + key + "'"; }

    const filterd_node* mapping_;
};

/// Derive from it. An exception is reported and fails the call.
class Plugin {
public:
    Plugin() = default;
    Plugin(const Plugin&) = delete;
    Plugin& operator=(const Plugin&) = delete;
    virtual ~Plugin() = default;

    /// To be declared anew where it is not the filter's name.
    static constexpr const char* noun = nullptr;
    /// To be declared anew where the filter has keys of its own: a JSON schema of them, an object.
    static constexpr const char* config_schema = nullptr;

    /// The options that the filter is attached with.
    virtual std::string options(const Config& config) = 0;

    /// Options as people read them.
    virtual std::string describe(std::string_view options) { return std::string{options}; }
};

namespace detail {

template <class Class>
struct Glue {
    static Class& instance() {
        static Class plugin;
        return plugin;
    }

    static int answer(filterd_sink* sink, const std::string& text) {
        return host()->write(sink, text.data(), text.size()) ? 0 : -1;
    }

    template <class Call>
    static int guarded(Call&& call) noexcept {
        try {
            return call();
        } catch (const std::exception& error) {
            host()->log(FILTERD_ERROR, error.what());
        } catch (...) {
            host()->log(FILTERD_ERROR, "an exception of no known kind");
        }
        return -1;
    }

    static int load(const filterd_host* services) {
        host() = services;
        return guarded([] { return instance(), 0; });
    }

    static int options(const filterd_node* config, filterd_sink* sink) {
        return guarded([&] { return answer(sink, instance().options(Config{config})); });
    }

    static int describe(const void* options, size_t size, filterd_sink* sink) {
        return guarded(
            [&] { return answer(sink, instance().describe({static_cast<const char*>(options), size})); });
    }
};

} // namespace detail

} // namespace filterd

/// The one function that a plugin exports. NAME: the file is filterd-NAME.so; FILTER: of the kernel; MODULE:
/// that has it.
#define FILTERD_PLUGIN(CLASS, NAME, VERSION, DESCRIPTION, FILTER, MODULE)                                    \
    const struct filterd_plugin* filterd_plugin_entry() {                                                    \
        static const struct filterd_plugin plugin = [] {                                                     \
            struct filterd_plugin it{};                                                                      \
            it.size = sizeof(it);                                                                            \
            it.interface = FILTERD_PLUGIN_INTERFACE;                                                         \
            it.name = NAME;                                                                                  \
            it.version = VERSION;                                                                            \
            it.description = DESCRIPTION;                                                                    \
            it.filter = FILTER;                                                                              \
            it.module = MODULE;                                                                              \
            it.noun = CLASS::noun;                                                                           \
            it.config_schema = CLASS::config_schema;                                                         \
            it.load = filterd::detail::Glue<CLASS>::load;                                                    \
            it.options = filterd::detail::Glue<CLASS>::options;                                              \
            it.describe = filterd::detail::Glue<CLASS>::describe;                                            \
            return it;                                                                                       \
        }();                                                                                                 \
        return &plugin;                                                                                      \
    }
