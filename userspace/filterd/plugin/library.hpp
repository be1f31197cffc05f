// SPDX-License-Identifier: MIT
/// @file
/// Plugins' files, loaded for good. All that runs the plugin's code is to be called by its thread
/// (worker.hpp).
#pragma once

#include "config/config.hpp"

#include <blkfilter/error.hpp>
#include <filterd/plugin.h>

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

namespace filterd::plugin {

/// The name of a plugin's file, filterd-NAME.so; nothing when it has another form.
std::optional<std::string> plugin_name(const std::filesystem::path& file);

/// A plugin that is loaded. It is never unloaded, so copies are as good.
class Loaded {
public:
    /// Loads a file and looks whether it is a plugin that filterd can use. The message says what is wrong
    /// with it.
    /// @p trusted: it must belong to root, and nobody else may change it. Runs the plugin's code: to be
    /// called by the plugin's thread.
    static blkfilter::Result<Loaded> load(const std::filesystem::path& file, bool trusted);

    [[nodiscard]] const filterd_plugin& plugin() const { return plugin_; }

    /// The options for the kernel that the filter's own keys mean; what is wrong with them becomes a
    /// diagnostic.
    [[nodiscard]] std::optional<std::string> options(const config::Filter& filter,
                                                     config::Diagnostics& diagnostics) const;

    /// Options as people read them.
    [[nodiscard]] std::string describe(std::string_view options) const;

    /// Why the filter cannot be used here; empty: it can.
    [[nodiscard]] std::string probe() const;

private:
    explicit Loaded(const filterd_plugin& plugin) : plugin_{plugin} {}

    filterd_plugin plugin_;
};

} // namespace filterd::plugin
