// SPDX-License-Identifier: MIT
/// @file
/// The plugin's migrations over a kernel in memory.
#pragma once

#include "redirect/migrations.hpp"

#include "../../folder.hpp"
#include "../parts_test.hpp"
#include "fake_redirect.hpp"

#include <functional>

namespace filterd::redirects {

class RedirectMigrations : public filterd::test::PartsTest {
protected:
    RedirectMigrations() : control{kernel.control()}, redirection{control, source.id} {
        const auto link = folder / "dev/disk/by-id/OLD";
        std::filesystem::create_directories(link.parent_path());
        std::filesystem::create_symlink("../../sda", link);
        begin();
    }

    [[nodiscard]] Surroundings surroundings(const std::string& boot) {
        return {.state_folder = folder / "state",
                .boot = boot,
                .control = [this]() -> blkfilter::Result<blkfilter::Control> { return kernel.control(); },
                .roots = {.dev = folder / "dev",
                          .proc = folder / "proc",
                          .etc = folder / "etc",
                          .sys = folder / "sys"},
                .log = [this](filterd_priority, const std::string& line) { say(line); },
                .period = std::chrono::milliseconds{5},
                .make_loop = [](const std::filesystem::path&) { return LoopDevice{.node = "/dev/zero"}; }};
    }

    /// As filterd does after a kill, or the machine after a restart.
    void begin(const std::string& boot = "this boot") {
        migrations.reset();
        migrations = std::make_unique<Migrations>(surroundings(boot));
        migrations->adopt();
    }

    blkfilter::redirect::StartRequest
    start(bool cuts_over_itself = false,
          blkfilter::redirect::Mode mode = blkfilter::redirect::Mode::write_blocking,
          Place place = {.kind = Place::Kind::none}) {
        const blkfilter::redirect::StartRequest request{.target = "/dev/null", .mode = mode};
        migrations->start(
            redirection, source,
            {.request = request, .place = std::move(place), .cuts_over_itself = cuts_over_itself});
        return request;
    }

    /// Nothing is under way after it.
    void power_loss() {
        migrations.reset();
        const std::scoped_lock lock{kernel.mutex};
        kernel.status = {};
    }

    View view() { return migrations->view(redirection, source); }

    [[nodiscard]] std::vector<Record> records() const {
        std::vector<std::string> wrong;
        return Records{folder / "state"}.read(wrong);
    }

    blkfilter::test::Folder folder;
    test::FakeRedirect kernel;
    Source source{.id = {8, 0, 1}, .name = "sda"};
    blkfilter::Control control;
    Redirection redirection;
    std::unique_ptr<Migrations> migrations;
};

} // namespace filterd::redirects
