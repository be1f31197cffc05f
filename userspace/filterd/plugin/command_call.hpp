// SPDX-License-Identifier: MIT
/// @file
/// One call of a plugin's command: what it was given, and what it answers.
#pragma once

#include <blkfilter/error.hpp>
#include <filterd/plugin.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace filterd::plugin {

/// For the plugin's thread until the call has ended, then for whoever made it.
class CommandCall {
public:
    /// What a call is given.
    struct Input {
        struct Device {
            std::string name;     ///< the kernel's
            std::string declared; ///< of the configuration, or the kernel's
        };
        std::string device{}; ///< the kernel's name; empty: about none
        std::vector<Device> devices{};
        std::map<std::string, std::string> settings{}; ///< of the configuration (daemon/settings.hpp)
        std::map<std::string, std::string> arguments{};
        /// Sends a command to the filter on the device; how many bytes the answer has.
        std::function<blkfilter::Result<std::size_t>(std::uint32_t, std::span<std::byte>)> control{};
        std::function<void(std::uint32_t thousandths, const std::string& text)> progress{};
    };

    static constexpr std::size_t most_cursor_bytes = 4096;

    explicit CommandCall(Input input) : input_{std::move(input)} {}

    // --- for the plugin, by struct filterd_host ---

    [[nodiscard]] const char* argument(const char* name) const;
    [[nodiscard]] bool number(const char* name, std::uint64_t& value) const;
    [[nodiscard]] const char* device() const;
    /// Nothing behind the last.
    [[nodiscard]] const Input::Device* device_at(std::size_t index) const {
        return index < input_.devices.size() ? &input_.devices[index] : nullptr;
    }
    [[nodiscard]] const char* setting(const char* name) const;
    int control(std::uint32_t number, std::span<std::byte> buffer, std::size_t& length);
    bool answer(std::string_view json);
    bool print(std::string_view text);
    void more(std::string cursor);
    void fail(int code, std::string text);
    /// Not more often than people can see.
    void progress(std::uint32_t thousandths, const std::string& text);

    // --- for whoever made it ---

    /// What the plugin's function has returned. Result: {"records": [...], "columns": [...]} or
    /// {"text": "..."}, and "cursor".
    [[nodiscard]] blkfilter::Result<nlohmann::json> result(int returned);

    /// As the plugin knows it.
    filterd_call* handle() { return reinterpret_cast<filterd_call*>(this); }

private:
    bool has_room(std::size_t size);
    void note_column(const std::string& key);

    Input input_;
    nlohmann::json records_ = nlohmann::json::array();
    nlohmann::json columns_ = nlohmann::json::array();
    std::set<std::string> known_columns_;
    std::string text_;
    std::size_t used_{};
    std::optional<std::string> cursor_;
    std::optional<blkfilter::Error> error_;
    std::chrono::steady_clock::time_point next_progress_;
};

/// What is given for a command, checked: each argument is one of it and of its type, what is required is
/// there. EINVAL with a line that says what is wrong.
blkfilter::Result<std::map<std::string, std::string>> check_arguments(const filterd_command& command,
                                                                      const nlohmann::json& given);

} // namespace filterd::plugin
