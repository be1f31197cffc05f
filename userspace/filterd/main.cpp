// SPDX-License-Identifier: MIT
/// @file
/// filterd: keeps the filters on block devices as YAML files declare them.
#include "daemon.hpp"
#include "plugin/host.hpp"

#include <blkfilter-common/version.hpp>

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <iostream>
#include <utility>

namespace {

namespace config = filterd::config;

enum class ExitCode : int { done = 0, failed = 1, usage = 2 };

struct Arguments {
    filterd::DaemonOptions daemon{};
    std::string plugin{};
    bool check{};
    bool without_plugins{};
};

/// What the plugins say of their filters' own keys.
void check_options(const config::Config& declared, const filterd::DaemonOptions& options,
                   config::Diagnostics& diagnostics) {
    filterd::KernelEngine engine;
    filterd::NoModules modules;
    filterd::plugin::Managed plugins{
        {.folder = options.plugin_folder}, engine, modules, [](const filterd::Notice&) {}};
    for (const auto& device : declared.devices)
        for (const auto& filter : device.stack) {
            static_cast<void>(plugins.options(filter, diagnostics));
            if (const auto why = plugins.trouble(filter.name))
                diagnostics.error(filter.position,
                                  fmt::format("filter '{}' has no plugin: {}", filter.name, *why));
        }
}

/// Reads the files, says what is wrong with them. Needs neither root nor the kernel modules.
ExitCode check(const Arguments& arguments) {
    config::Diagnostics diagnostics;
    const auto texts =
        config::load(arguments.daemon.config.main, arguments.daemon.config.folder, diagnostics);
    const auto declared = config::read(texts, diagnostics);
    if (!arguments.without_plugins)
        check_options(declared, arguments.daemon, diagnostics);
    for (const auto& diagnostic : diagnostics.sorted())
        std::cerr << diagnostic.to_string() << '\n';
    if (diagnostics.has_errors())
        return ExitCode::usage;
    std::size_t filters = 0;
    for (const auto& device : declared.devices)
        filters += device.stack.size();
    std::cout << fmt::format("good: {} devices, {} filters, {} groups\n", declared.devices.size(), filters,
                             declared.groups.size());
    return ExitCode::done;
}

/// Loads a plugin as filterd would, says what it is or what is wrong with it.
ExitCode check_plugin(const std::string& file) {
    const auto name = filterd::plugin::plugin_name(file).value_or(file);
    const filterd::plugin::Call call{name, "load"};
    const auto loaded = filterd::plugin::Loaded::load(file, true);
    if (!loaded) {
        std::cerr << loaded.error().message << '\n';
        return ExitCode::failed;
    }
    const auto& plugin = loaded->plugin();
    std::cout << fmt::format("good: {} {}: {}; filter {}, module {}\n", plugin.name, plugin.version,
                             plugin.description, plugin.filter, plugin.module);
    return ExitCode::done;
}

/// What the command line asks for.
ExitCode run(int argc, char** argv) {
    CLI::App app{"Keeps the filters on block devices as YAML files declare them"};
    Arguments arguments{.daemon = {.plugin_folder = FILTERD_PLUGIN_FOLDER}};
    auto& daemon = arguments.daemon;
    auto* checks = app.add_option_group("instead of being the daemon")->require_option(0, 1);
    checks->add_flag("--check", arguments.check, "Say what is wrong with the configuration, and end");
    checks->add_option("--check-plugin", arguments.plugin, "Say what is wrong with a plugin, and end");
    app.add_flag("--no-plugins", arguments.without_plugins,
                 "With --check: do not look at the filters' own keys");
    app.add_option("-c,--config", daemon.config.main, "The configuration")->capture_default_str();
    app.add_option("--config-folder", daemon.config.folder, "More of it: *.yaml, in alphabetical order")
        ->capture_default_str();
    app.add_option("--plugin-folder", daemon.plugin_folder, "Where plugins are")->capture_default_str();
    app.add_option("--runtime-folder", daemon.runtime_folder,
                   "For the socket, and what ends with the machine")
        ->capture_default_str();
    app.add_option("--state-folder", daemon.state_folder, "For what plugins keep")->capture_default_str();
    app.set_version_flag("--version", fmt::format("filterd {}", blkfilter::common::version));
    try {
        app.parse(argc, argv);
    } catch (const CLI::ParseError& error) {
        return app.exit(error) == 0 ? ExitCode::done : ExitCode::usage;
    }
    if (arguments.check)
        return check(arguments);
    if (!arguments.plugin.empty())
        return check_plugin(arguments.plugin);
    filterd::run_daemon(daemon);
    return ExitCode::done;
}

} // namespace

int main(int argc, char** argv) {
    try {
        return std::to_underlying(run(argc, argv));
    } catch (const std::exception& error) {
        std::cerr << "filterd: " << error.what() << '\n';
        return std::to_underlying(ExitCode::failed);
    }
}
