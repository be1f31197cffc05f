// SPDX-License-Identifier: MIT
/// @file
/// The plugin's snapshots over a kernel in memory.
#pragma once

#include "blksnap/snapshots.hpp"

#include "../../folder.hpp"
#include "../parts_test.hpp"
#include "fake_blksnap.hpp"

#include <functional>

namespace filterd::snapshots {

class BlksnapSnapshots : public filterd::test::PartsTest {
protected:
    BlksnapSnapshots() : snapshots{begin()} {}

    std::unique_ptr<Snapshots> begin(const std::string& boot = "this boot") {
        return std::make_unique<Snapshots>(Surroundings{
            .state_folder = folder / "state",
            .link_folder = folder / "links",
            .boot = boot,
            .control = [this]() -> blkfilter::Result<blkfilter::Control> { return kernel.control(); },
            .module = [this]() -> blkfilter::Result<blkfilter::blksnap::Module> { return kernel.module(); },
            .roots = {.sysfs = folder / "sys",
                      .proc = folder / "proc",
                      .place = [](const auto&) { return std::nullopt; }},
            .log = [this](filterd_priority, const std::string& line) { say(line); },
            .run =
                [this](const std::string& command, const std::vector<std::string>& environment,
                       std::uint32_t) {
                    if (during_hook)
                        during_hook();
                    hooks.push_back(command);
                    for (const auto& variable : environment)
                        if (variable.starts_with("FILTERD_RESULT="))
                            hooks.back() += " " + variable.substr(15);
                    return command == "fails" ? 7 : 0;
                }});
    }

    /// As filterd does after a kill.
    void begin_again(const std::string& boot = "this boot") {
        snapshots = begin(boot);
        snapshots->adopt();
        snapshots->run_due_hooks();
    }

    Request request(const std::string& label = "one") const {
        return {.label = label,
                .group = "database",
                .devices = {{.id = {8, 0, 1}, .name = "sda", .declared = "data"},
                            {.id = {8, 16, 2}, .name = "sdb", .declared = "log"}},
                .policy = {.path = (folder / "storage").string(),
                           .limit_bytes = 8 * mebibyte,
                           .step_bytes = 2 * mebibyte,
                           .warn_thousandths = 800},
                .hooks = {.before = "stop", .after = "go", .seconds = 5}};
    }

    Created create(const Request& wanted) {
        return snapshots->create(wanted, [](std::uint32_t, const std::string&) {});
    }

    [[nodiscard]] bool nothing_is_left() const {
        return std::filesystem::is_empty(folder / "state/snapshots") &&
               (!std::filesystem::exists(folder / "links") || std::filesystem::is_empty(folder / "links"));
    }

    blkfilter::test::Folder folder;
    test::FakeBlksnap kernel;
    std::vector<std::string> hooks;
    std::function<void()> during_hook{};
    std::unique_ptr<Snapshots> snapshots;
};

} // namespace filterd::snapshots
