// SPDX-License-Identifier: MIT
/// @file
/// Plugins, loaded for good.
#pragma once

#include "config/config.hpp"

#include <blkfilter/error.hpp>
#include <filterd/plugin.h>

#include <filesystem>
#include <map>
#include <string>
#include <string_view>

namespace filterd::plugin {

/// A plugin that is loaded. It is never unloaded, so copies are as good.
class Loaded {
public:
    /// Loads a file and looks whether it is a plugin that filterd can use. The message says what is wrong
    /// with it.
    /// @p trusted: it must belong to root, and nobody else may change it.
    static blkfilter::Result<Loaded> load(const std::filesystem::path& file, bool trusted);

    [[nodiscard]] const filterd_plugin& plugin() const { return plugin_; }

    /// The options for the kernel that the filter's own keys mean; what is wrong with them becomes a
    /// diagnostic.
    [[nodiscard]] std::optional<std::string> options(const config::Filter& filter,
                                                     config::Diagnostics& diagnostics) const;

private:
    explicit Loaded(const filterd_plugin& plugin) : plugin_{plugin} {}

    filterd_plugin plugin_;
};

/// The plugins of one folder, each loaded when a file names its filter.
class Plugins {
public:
    explicit Plugins(std::filesystem::path folder, bool trusted)
        : folder_{std::move(folder)}, trusted_{trusted} {}

    /// The plugin of a filter: filterd-FILTER.so.
    const blkfilter::Result<Loaded>& of_filter(const std::string& filter);

private:
    std::filesystem::path folder_;
    bool trusted_;
    std::map<std::string, blkfilter::Result<Loaded>> loaded_;
};

} // namespace filterd::plugin
