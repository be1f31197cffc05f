// SPDX-License-Identifier: MIT
/// @file
/// filterd: keeps the filters on block devices as YAML files declare them.
#include "config/read.hpp"

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <iostream>

namespace {

namespace config = filterd::config;

enum class ExitCode : int { done = 0, usage = 2 };

/// Reads the files, says what is wrong with them. Needs neither root nor the kernel modules.
ExitCode check(const std::string& file, const std::string& folder) {
    config::Diagnostics diagnostics;
    const auto files = config::load(file, folder, diagnostics);
    const auto declared = config::read(files, diagnostics);
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

} // namespace

int main(int argc, char** argv) {
    CLI::App app{"Keeps the filters on block devices as YAML files declare them"};
    std::string file = "/etc/filterd/filterd.yaml";
    std::string folder = "/etc/filterd/conf.d";
    bool only_check = false;
    app.add_option("-c,--config", file, "The configuration")->capture_default_str();
    app.add_option("--config-folder", folder, "More of it: *.yaml, in alphabetical order")
        ->capture_default_str();
    app.add_flag("--check", only_check, "Say what is wrong with the configuration, and end")->required();
    try {
        app.parse(argc, argv);
        return static_cast<int>(check(file, folder));
    } catch (const CLI::ParseError& error) {
        return app.exit(error) == 0 ? 0 : static_cast<int>(ExitCode::usage);
    } catch (const std::exception& error) {
        std::cerr << fmt::format("filterd: {}\n", error.what());
        return 1;
    }
}
