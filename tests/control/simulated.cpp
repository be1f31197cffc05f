// SPDX-License-Identifier: MIT
/// @file
/// filterd on a kernel that exists in memory only: its socket, its plugins and its configuration are real, so
/// that they are tested without a virtual machine.
///
///     filterd-simulated FOLDER PLUGIN-FOLDER DISK=SERIAL...
///
/// FOLDER has filterd.yaml, and gets control.sock. Each filter that is named by a plugin of PLUGIN-FOLDER
/// exists, from altitude 100 on. SIGHUP reloads.
#include "engine/simulated.hpp"
#include "control/service.hpp"
#include "plugin/crash.hpp"
#include "plugin/host.hpp"

#include <csignal>
#include <fmt/format.h>
#include <iostream>
#include <span>
#include <string_view>

namespace {

using namespace filterd;

std::uint32_t minors = 0;

device::Facts disk(std::string_view argument) {
    const auto at = argument.find('=');
    const std::string name{argument.substr(0, at)};
    return {.id = {8, 16 * minors++, minors},
            .name = name,
            .links = {"/dev/" + name},
            .serial = std::string{argument.substr(at + 1)}};
}

void add_filters(SimulatedEngine& kernel, const std::filesystem::path& folder) {
    std::uint64_t altitude = 0;
    for (const auto& entry : std::filesystem::directory_iterator{folder})
        if (const auto name = plugin::plugin_name(entry.path()))
            kernel.register_filter(
                *name, blkfilter::Altitude{(altitude += 100) * blkfilter::Altitude::millionths_per_unit});
}

void block_signals() {
    sigset_t signals{};
    sigemptyset(&signals);
    for (const int signal : {SIGTERM, SIGHUP})
        sigaddset(&signals, signal);
    pthread_sigmask(SIG_BLOCK, &signals, nullptr);
}

int run(std::span<char*> arguments) {
    const std::filesystem::path folder{arguments[1]};
    const std::filesystem::path plugins{arguments[2]};
    const auto log = [](const Notice& notice) {
        if (notice.priority != Priority::debug)
            std::cerr << fmt::format("{}: {}\n", notice.type, notice.text);
    };
    block_signals();
    plugin::note_crashes(folder / "crashes");
    plugin::surroundings() = {.tell = log, .state_folder = folder / "state"};
    control::Loop loop;
    SimulatedEngine kernel;
    NoModules modules;
    add_filters(kernel, plugins);
    device::Devices devices;
    for (const std::string_view argument : arguments.subspan(3)) {
        auto facts = disk(argument);
        kernel.add_device(facts.id);
        devices.emplace(facts.id, std::move(facts));
    }
    plugin::Managed filters{
        {.folder = plugins, .trusted = false, .crashes = folder / "crashes"}, kernel, modules, log};
    control::Service service{{.loop = loop,
                              .engine = kernel,
                              .filters = filters,
                              .config = {.main = folder / "filterd.yaml", .folder = folder / "conf.d"},
                              .state = {.rules = folder / "rules.json", .rollback = folder / "rollback.json"},
                              .socket = folder / "control.sock",
                              .log = log}};
    service.begin(devices, [] { std::cout << "ready" << std::endl; });
    const auto reload =
        loop.on_signal(SIGHUP, [&] { service.reload([] { std::cout << "reloaded" << std::endl; }); });
    const auto terminate = loop.on_signal(SIGTERM, [&] { loop.end(); });
    loop.run();
    return 0;
}

} // namespace

int main(int argc, char** argv) {
    if (argc < 3) {
        std::cerr << "filterd-simulated FOLDER PLUGIN-FOLDER DISK=SERIAL...\n";
        return 2;
    }
    return run({argv, static_cast<std::size_t>(argc)});
}
