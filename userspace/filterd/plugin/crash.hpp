// SPDX-License-Identifier: MIT
/// @file
/// Notes of plugins that have crashed the daemon, for the next one.
#pragma once

#include <cstddef>
#include <filesystem>
#include <map>
#include <memory>
#include <string>

namespace filterd::plugin {

/// A plugin that has crashed filterd so often is left out.
inline constexpr int most_crashes = 2;

/// From now on a crash in a plugin's function, or an exit() there, is noted in @p file before the process
/// ends. It is not noted before each call: a filterd that was killed would find that its plugins had crashed.
/// Errors: std::system_error.
void note_crashes(const std::filesystem::path& file);

/// How often each plugin has crashed filterd.
std::map<std::string, int> crashes(const std::filesystem::path& file);

/// The plugin gets another chance when filterd is started anew.
void forget_crashes(const std::filesystem::path& file, const std::string& plugin);

/// While it lives, this thread is in that plugin.
class InPlugin {
public:
    InPlugin(std::string_view plugin, std::string_view what);
    InPlugin(const InPlugin&) = delete;
    InPlugin& operator=(const InPlugin&) = delete;
    ~InPlugin();
};

/// A stack for this thread's signal handlers.
class AlternateStack {
public:
    AlternateStack();
    AlternateStack(const AlternateStack&) = delete;
    AlternateStack& operator=(const AlternateStack&) = delete;
    ~AlternateStack();

private:
    std::unique_ptr<std::byte[]> memory_;
};

} // namespace filterd::plugin
