// SPDX-License-Identifier: MIT
/// @file
/// filterd's plugin for the filter blksnap: filterctl snapshot.
#include "answers.hpp"
#include "image.hpp"
#include "snapshots.hpp"

#include "../called.hpp"
#include "../extent_text.hpp"

#include <cerrno>
#include <fmt/format.h>
#include <memory>
#include <mutex>
#include <thread>

namespace filterd::snapshots {

namespace {

namespace blksnap = blkfilter::blksnap;

class Blksnap final : public Plugin {
public:
    static constexpr const char* noun = "snapshot";
    static constexpr std::uint32_t flags = FILTERD_KEEPS_HISTORY;
    static constexpr std::uint32_t kernel_least = 1;

    /// What an earlier filterd has left is taken on at once. Without a folder for our state this is early in
    /// a boot, when there can be no snapshots yet; or somebody only looks whether the plugin can be loaded.
    Blksnap() {
        if (state_folder())
            snapshots();
    }

    std::string options(const Config&) override { return ""; }

    void status(Call& call) override {
        const auto info = value_of(Called<blksnap::Tracker> { call } -> info());
        call.answer(filterd::Record{}
                        .add("generation", info.generation.to_string())
                        .add("number", std::uint64_t{info.number})
                        .add("block_bytes", info.block_bytes));
    }

    void create(Call& call) {
        const auto created =
            snapshots().create(request_of(call), [&](std::uint32_t thousandths, const std::string& text) {
                call.progress(thousandths, text);
            });
        auto json = line_of(Status{.record = created.record, .statistics = created.statistics});
        auto warnings = Json::array();
        for (const auto& one : created.file_systems)
            if (!one.warning.empty())
                warnings.push_back(fmt::format("{}: {}", one.mount_point, one.warning));
        json["warnings"] = std::move(warnings);
        call.answer(json.dump());
    }

    void check(Call& call) {
        std::set<std::string> names;
        for (const auto& device : call.devices())
            names.insert(device.name);
        if (names.empty())
            throw Failure{EINVAL, "name devices, or --group"};
        for (const auto& one : file_systems_on(names, system_roots()))
            call.answer(line_of(one).dump());
    }

    void list(Call& call) {
        for (const auto& status : snapshots().list())
            call.answer(line_of(status).dump());
    }

    void show(Call& call) { call.answer(details_of(snapshots().find(call.text("snapshot"))).dump()); }

    void images(Call& call) {
        const auto status = snapshots().find_made(call.text("snapshot"));
        const auto control = value_of(snapshots().surroundings().control());
        for (const auto& member : status.record.devices) {
            const blksnap::Tracker tracker{control, member.id};
            call.answer(
                image_of(status.record, member, value_of(tracker.info()), value_of(tracker.part())).dump());
        }
    }

    void changes(Call& call) { answer_changes(call, snapshots()); }

    void extend(Call& call) { snapshots().extend(call.text("snapshot"), call.number("by")); }

    void mount(Call& call) {
        const auto status = snapshots().find_made(call.text("snapshot"));
        const auto image = member_of(status.record, call.text("device", "")).image();
        const auto content = choose(contents_of(image), image, call);
        const auto options = mount_options_of(content.type);
        if (content.type == "btrfs")
            throw Failure{EBUSY,
                          fmt::format("{}: btrfs cannot be mounted beside its origin, which has the same id "
                                      "{}: copy the image, or serve it to another machine",
                                      image, content.uuid)};
        if (!options)
            throw Failure{EINVAL, fmt::format("{}: '{}' cannot be mounted", image,
                                              content.type.empty() ? "what nobody knows" : content.type)};
        call.answer(filterd::Record{}
                        .add("source", image)
                        .add("type", content.type)
                        .add("options", *options)
                        .add("offset", content.offset_bytes)
                        .add("size", content.size_bytes));
    }

    void destroy(Call& call) { snapshots().destroy(call.text("snapshot"), call.boolean("force")); }

    static constexpr std::uint32_t needed = FILTERD_REQUIRED | FILTERD_POSITIONAL;
    static constexpr Argument which{
        .name = "snapshot", .description = "Its label, or its id", .flags = needed};
    static constexpr Command<Blksnap> commands[] = {
        {.name = "create",
         .description = "Take a snapshot of devices, all at one instant",
         .flags = FILTERD_DEVICES | FILTERD_CHANGES | FILTERD_JOB,
         .run = &Blksnap::create,
         .arguments = {{.name = "label", .description = "What to call it; the time without it"},
                       {.name = "storage",
                        .description = "A folder, or a block device that is overwritten, for old data"},
                       {.name = "limit",
                        .description = "So much old data may be in the folder, of all snapshots",
                        .type = FILTERD_BYTES},
                       {.name = "step", .description = "So much is added at a time", .type = FILTERD_BYTES}}},
        {.name = "check",
         .description = "List the file systems of devices, and what a snapshot of them would be",
         .flags = FILTERD_DEVICES,
         .run = &Blksnap::check},
        {.name = "list", .description = "List the snapshots", .run = &Blksnap::list},
        {.name = "status",
         .description = "Show how a snapshot is",
         .run = &Blksnap::show,
         .arguments = {which}},
        {.name = "images",
         .description = "List the images of a snapshot, with the bases of later copies",
         .run = &Blksnap::images,
         .arguments = {which}},
        {.name = "changes",
         .description = "Show what has changed in a device since an earlier snapshot",
         .run = &Blksnap::changes,
         .arguments = {which,
                       {.name = "device", .description = "Which device of the snapshot", .flags = needed},
                       {.name = "base", .description = "The earlier one's, by 'images'", .flags = needed},
                       {.name = "format",
                        .description =
                            "Records; lines OFFSET LENGTH in bytes; or a list of the whole device for "
                            "nbdkit's filter extentlist",
                        .type = FILTERD_CHOICE,
                        .choices = extent_formats}}},
        {.name = "extend",
         .description = "Give a snapshot more storage now",
         .flags = FILTERD_CHANGES,
         .run = &Blksnap::extend,
         .arguments =
             {which,
              {.name = "by", .description = "So much", .type = FILTERD_BYTES, .flags = FILTERD_REQUIRED}}},
        {.name = "mount",
         .description = "Mount an image read-only",
         .flags = FILTERD_MOUNT,
         .run = &Blksnap::mount,
         .arguments = {which,
                       {.name = "device", .description = "Which device, when there are several"},
                       {.name = "partition",
                        .description = "Which partition of an image of a whole disk",
                        .type = FILTERD_NUMBER}}},
        {.name = "destroy",
         .description = "End a snapshot",
         .flags = FILTERD_CHANGES,
         .run = &Blksnap::destroy,
         .arguments = {which,
                       {.name = "force",
                        .description = "Also one that is mounted, or another program's",
                        .type = FILTERD_BOOLEAN}}}};

private:
    void run_due_hooks() {
        try {
            snapshots_->run_due_hooks();
        } catch (const std::exception& error) {
            log(FILTERD_ERROR, fmt::format("snapshots of before: {}", error.what()));
        }
    }

    /// From both of the plugin's threads.
    Snapshots& snapshots() {
        std::call_once(begun_, [this] {
            snapshots_ = std::make_unique<Snapshots>(Surroundings{});
            // Whoever asks sees what was found again from the first answer on; hooks that are due may last.
            snapshots_->adopt();
            std::thread{[this] { run_due_hooks(); }}.detach();
        });
        return *snapshots_;
    }

    std::once_flag begun_;
    std::unique_ptr<Snapshots> snapshots_;
};

} // namespace

} // namespace filterd::snapshots

FILTERD_PLUGIN(filterd::snapshots::Blksnap, "blksnap", "0.1.0", "Snapshots of live block devices", "blksnap",
               "blksnap")
