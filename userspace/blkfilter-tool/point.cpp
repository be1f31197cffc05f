// SPDX-License-Identifier: MIT
#include "arguments.hpp"
#include "commands.hpp"
#include "output.hpp"

#include <blkfilter/control.hpp>

#include <iostream>
#include <memory>

namespace blkfilter::tool {

namespace {

struct Arguments {
    std::string id;
    std::vector<std::string> freeze;
    std::vector<std::string> devices;
    std::uint32_t limit_ms{};
    bool json{};
};

Result<void> take_point(const Arguments& arguments) {
    const auto id = arguments.id.empty() ? PointId::random() : PointId::parse(arguments.id);
    if (!id)
        return std::unexpected(id.error());
    const auto freeze = find_devices(arguments.freeze);
    if (!freeze)
        return std::unexpected(freeze.error());
    const auto close = find_devices(arguments.devices);
    if (!close)
        return std::unexpected(close.error());
    const auto control = Control::open();
    if (!control)
        return std::unexpected(control.error());

    const auto point = control->point({.id = *id,
                                       .freeze = *freeze,
                                       .close = *close,
                                       .limit = std::chrono::milliseconds{arguments.limit_ms}});
    if (!point)
        return std::unexpected(point.error());
    std::cout << (arguments.json ? json_of(*point).dump() : line_of(*point)) << '\n';
    return {};
}

} // namespace

void add_point_command(CLI::App& app, Commands& commands) {
    const auto arguments = std::make_shared<Arguments>();
    auto* command = app.add_subcommand("point", "Take a consistency point of several devices");
    command->add_option("DEVICE", arguments->devices, "Devices that take part, upper before lower")
        ->required();
    command->add_option("--id", arguments->id, "The point's id; a random one without");
    command
        ->add_option("--freeze", arguments->freeze, "A device whose file system is frozen; may be repeated")
        ->allow_extra_args(false);
    command->add_option("--limit", arguments->limit_ms, "Milliseconds for which the devices may be closed");
    command->add_flag("--json", arguments->json, "Print JSON");
    commands.emplace_back(command, [=] { return take_point(*arguments); });
}

} // namespace blkfilter::tool
