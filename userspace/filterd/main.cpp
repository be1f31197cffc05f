// SPDX-License-Identifier: MIT
/// @file
/// filterd: keeps the filters on block devices as YAML files declare them.
#include "config/read.hpp"
#include "plugin/library.hpp"

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <iostream>
#include <utility>

namespace {

namespace config = filterd::config;

enum class ExitCode : int { done = 0, failed = 1, usage = 2 };

struct Arguments {
    std::string file = "/etc/filterd/filterd.yaml";
    std::string folder = "/etc/filterd/conf.d";
    std::string plugin_folder = FILTERD_PLUGIN_FOLDER;
    std::string plugin;
    bool without_plugins{};
};

/// Lets the plugins read their filters' own keys.
void read_options(const config::Config& declared, const std::string& folder,
                  config::Diagnostics& diagnostics) {
    filterd::plugin::Plugins plugins{folder, true};
    for (const auto& device : declared.devices)
        for (const auto& filter : device.stack)
            if (const auto& plugin = plugins.of_filter(filter.name))
                static_cast<void>(plugin->options(filter, diagnostics));
            else
                diagnostics.error(filter.position, fmt::format("filter '{}' has no plugin: {}", filter.name,
                                                               plugin.error().message));
}

/// Reads the files, says what is wrong with them. Needs neither root nor the kernel modules.
ExitCode check(const Arguments& arguments) {
    config::Diagnostics diagnostics;
    const auto files = config::load(arguments.file, arguments.folder, diagnostics);
    const auto declared = config::read(files, diagnostics);
    if (!arguments.without_plugins)
        read_options(declared, arguments.plugin_folder, diagnostics);
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
    Arguments arguments;
    bool only_check = false;
    auto* checks = app.add_option_group("what to do")->require_option(1);
    checks->add_flag("--check", only_check, "Say what is wrong with the configuration, and end");
    checks->add_option("--check-plugin", arguments.plugin, "Say what is wrong with a plugin, and end");
    app.add_option("-c,--config", arguments.file, "The configuration")->capture_default_str();
    app.add_option("--config-folder", arguments.folder, "More of it: *.yaml, in alphabetical order")
        ->capture_default_str();
    app.add_option("--plugin-folder", arguments.plugin_folder, "With --check: where plugins are")
        ->capture_default_str();
    app.add_flag("--no-plugins", arguments.without_plugins,
                 "With --check: do not look at the filters' own keys");
    try {
        app.parse(argc, argv);
    } catch (const CLI::ParseError& error) {
        return app.exit(error) == 0 ? ExitCode::done : ExitCode::usage;
    }
    return only_check ? check(arguments) : check_plugin(arguments.plugin);
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
