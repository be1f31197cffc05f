// SPDX-License-Identifier: MIT
#include "backup/make.hpp"
#include "backup/program.hpp"
#include "backup/read.hpp"
#include "backup/restore.hpp"
#include "backup/serve.hpp"
#include "commands/arguments.hpp"
#include "commands/commands.hpp"
#include "output/document.hpp"
#include "output/records.hpp"

#include <blkfilter-common/quantity.hpp>

#include <fmt/format.h>
#include <memory>
#include <sys/stat.h>

namespace filterctl {

namespace {

using namespace backup;

/// What is given on the command line, for all commands.
struct Given {
    Wish wish{};
    std::string folder{};
    std::string rate{};
    std::string number{};
    ServeRequest serve{};
    std::string since{}; ///< a folder of backups
    RestoreRequest restore{};
    std::string target{};
};

Json rows_of(const Manifest& manifest) {
    auto rows = Json::array();
    for (const auto& copy : manifest.devices)
        rows.push_back({{"number", manifest.number},
                        {"kind", manifest.parent ? "incremental" : "full"},
                        {"created", manifest.created},
                        {"device", copy.device},
                        {"size_bytes", copy.base.size_bytes},
                        {"copied_bytes", copy.copied_bytes},
                        {"file_bytes", copy.file_bytes},
                        {"file", copy.file}});
    return rows;
}

std::string table_view(const Json& reply) {
    return RecordTable{}.page(list_of(reply, "backups"));
}

Result<ExitCode> show(Session& session, const Result<Manifest>& made) {
    if (!made)
        return pass_on(made);
    session.show({{"backups", rows_of(*made)}}, table_view);
    return ExitCode::done;
}

/// What is copied is whatever was on a disk: nobody but its owner reads it.
void write_in_private() {
    umask(S_IRWXG | S_IRWXO);
}

using Make = std::function<Result<Manifest>(Maker&)>;

Result<ExitCode> make(Session& session, const Given& given, const Make& what) {
    const Interruption interruption;
    write_in_private();
    auto store = Store::open(given.folder, true);
    if (!store)
        return pass_on(store);
    Maker maker{session, *store, blkfilter::common::parse_bytes(given.rate).value_or(0)};
    return show(session, what(maker));
}

/// A backup in a folder.
struct Chosen {
    Store store;
    std::uint64_t number{};
};

/// The number that is given; the last one without it.
Result<Chosen> choose(const std::string& folder, const Given& given) {
    auto store = Store::open(folder, false);
    if (!store)
        return pass_on(store);
    if (!given.number.empty())
        return Chosen{.store = std::move(*store),
                      .number = blkfilter::common::parse_decimal(given.number).value_or(0)};
    if (store->numbers().empty())
        return fail("not-found", fmt::format("{}: there is no backup", store->folder().string()));
    const auto last = store->numbers().back();
    return Chosen{.store = std::move(*store), .number = last};
}

/// What is read, for people.
std::function<void(const std::string&)> teller(Session& session) {
    return [&session](const std::string& what) { session.say(what); };
}

Result<ExitCode> list(Session& session, const Given& given) {
    const auto store = Store::open(given.folder, false);
    if (!store)
        return pass_on(store);
    auto rows = Json::array();
    for (const auto number : store->numbers()) {
        const auto manifest = store->read(number);
        if (!manifest)
            return pass_on(manifest);
        for (auto& row : rows_of(*manifest))
            rows.push_back(std::move(row));
    }
    if (const auto partial = store->partial())
        session.say(fmt::format("filterctl: backup {} was interrupted: 'filterctl backup resume {}' goes on",
                                *partial, given.folder));
    session.show({{"backups", rows}}, table_view);
    return ExitCode::done;
}

Result<ExitCode> verify_backup(Session& session, const Given& given) {
    const auto chosen = choose(given.folder, given);
    if (!chosen)
        return pass_on(chosen);
    const auto& [store, number] = *chosen;
    if (auto verified = verify(store, number, teller(session)); !verified)
        return pass_on(verified);
    session.show({{"verified", number}}, [](const Json& reply) {
        return fmt::format("backup {} is whole\n", number_of(reply, "verified"));
    });
    return ExitCode::done;
}

Result<ExitCode> restore_backup(Session& session, Given& given) {
    const Interruption interruption;
    write_in_private();
    const auto chosen = choose(given.folder, given);
    if (!chosen)
        return pass_on(chosen);
    const auto& [store, number] = *chosen;
    given.restore.number = number;
    given.restore.target = given.target;
    if (given.restore.device.empty()) {
        const auto manifest = store.read(number);
        if (!manifest)
            return pass_on(manifest);
        if (manifest->devices.size() != 1)
            return fail("invalid", fmt::format("backup {} has {} devices: name one by --device", number,
                                               manifest->devices.size()));
        given.restore.device = manifest->devices.front().device;
    }
    if (auto restored = restore(store, given.restore, teller(session)); !restored)
        return pass_on(restored);
    session.show({{"restored", number}, {"device", given.restore.device}, {"target", given.target}},
                 [](const Json& reply) {
                     return fmt::format("{} of backup {} is on {}\n", text_of(reply, "device"),
                                        number_of(reply, "restored"), text_of(reply, "target"));
                 });
    return ExitCode::done;
}

/// The base of the last backup in a folder.
Result<std::string> base_in(const Given& given) {
    const auto chosen = choose(given.since, given);
    if (!chosen)
        return pass_on(chosen);
    const auto manifest = chosen->store.read(chosen->number);
    if (!manifest)
        return pass_on(manifest);
    const auto* copy = manifest->devices.size() == 1 && given.serve.device.empty()
                           ? &manifest->devices.front()
                           : manifest->find(given.serve.device);
    if (!copy)
        return fail("not-found", fmt::format("{}: backup {} has no device '{}'", given.since,
                                             manifest->number, given.serve.device));
    return copy->base.to_string();
}

Result<ExitCode> serve_snapshot(Session& session, Given& given) {
    if (!given.since.empty()) {
        auto base = base_in(given);
        if (!base)
            return pass_on(base);
        given.serve.base = std::move(*base);
    }
    return std::unexpected(serve(session, given.serve));
}

// --- the command line ---

using Shared = std::shared_ptr<Given>;

void add_folder(CLI::App* command, const Shared& given) {
    command->add_option("FOLDER", given->folder, "The folder of the backups")->required();
}

void add_rate(CLI::App* command, const Shared& given) {
    command->add_option("--rate", given->rate, "So many bytes a second at most")
        ->type_name("BYTES")
        ->check(bytes_complaint);
}

void add_number(CLI::App* command, const Shared& given) {
    command->add_option("--number", given->number, "Which backup; the last one without it")
        ->type_name("NUMBER")
        ->check(count_complaint);
}

void add_making(CLI::App* noun, CommandLine& line) {
    const auto given = std::make_shared<Given>();
    auto* full = line.add_command(
        noun, "full", "Copy all of devices, as they are at one instant", [given](Session& session) {
            return make(session, *given, [&](Maker& maker) { return maker.full(given->wish); });
        });
    add_folder(full, given);
    auto* devices =
        full->add_option("DEVICE", given->wish.devices, "Its declared name, the kernel's, or a path");
    line.hints.emplace(devices, Hint{.kind = Hint::Kind::device});
    auto* group =
        full->add_option("--group", given->wish.group, "All devices of a group of the configuration")
            ->type_name("GROUP");
    line.hints.emplace(group, Hint{.kind = Hint::Kind::group});
    add_rate(full, given);
    full->add_flag("--checkpoints", given->wish.by_checkpoints,
                   "Increments on it ask cbt-only, not blksnap, for what has changed");
    auto* incremental = line.add_command(
        noun, "incremental", "Copy what has changed since the last backup", [given](Session& session) {
            return make(session, *given, [](Maker& maker) { return maker.incremental(); });
        });
    add_folder(incremental, given);
    add_rate(incremental, given);
    auto* resume = line.add_command(
        noun, "resume", "Go on with a backup that was interrupted", [given](Session& session) {
            return make(session, *given, [](Maker& maker) { return maker.resume(); });
        });
    add_folder(resume, given);
    add_rate(resume, given);
    auto* discard = line.add_command(noun, "discard", "Give up a backup that was interrupted",
                                     [given](Session& session) -> Result<ExitCode> {
                                         auto store = Store::open(given->folder, true);
                                         if (!store)
                                             return pass_on(store);
                                         const auto done = Maker{session, *store, 0}.discard();
                                         return done ? Result<ExitCode>{ExitCode::done} : pass_on(done);
                                     });
    add_folder(discard, given);
}

void add_reading(CLI::App* noun, CommandLine& line) {
    const auto given = std::make_shared<Given>();
    add_folder(line.add_command(noun, "list", "List the backups of a folder",
                                [given](Session& session) { return list(session, *given); }),
               given);
    auto* check = line.add_command(noun, "verify", "Check a backup, and all that it is based on",
                                   [given](Session& session) { return verify_backup(session, *given); });
    add_folder(check, given);
    add_number(check, given);
    auto* back = line.add_command(noun, "restore", "Write a device back as it was",
                                  [given](Session& session) { return restore_backup(session, *given); });
    add_folder(back, given);
    back->add_option("TARGET", given->target, "A block device, or a file")->required();
    back->add_option("--device", given->restore.device, "Which device of the backup")->type_name("DEVICE");
    add_number(back, given);
    back->add_flag("--force", given->restore.force, "Overwrite what is there");
}

void add_serving(CLI::App* noun, CommandLine& line) {
    const auto given = std::make_shared<Given>();
    auto* command = line.add_command(noun, "serve", "Serve a snapshot's image by NBD to other programs",
                                     [given](Session& session) { return serve_snapshot(session, *given); });
    command->add_option("SNAPSHOT", given->serve.snapshot, "Its label")->required();
    command->add_option("--device", given->serve.device, "Which device of the snapshot")->type_name("DEVICE");
    command->add_option("--listen", given->serve.socket, "The Unix socket to listen at")
        ->type_name("PATH")
        ->required();
    auto* base =
        command->add_option("--base", given->serve.base, "Only what has changed since, the rest as holes")
            ->type_name("BASE");
    command->add_option("--since", given->since, "The same, since the last backup in a folder")
        ->type_name("FOLDER")
        ->excludes(base);
    add_number(command, given);
}

} // namespace

void add_backup_commands(CommandLine& line) {
    auto* noun = line.add_noun("backup", "Full and incremental copies of devices");
    add_making(noun, line);
    add_reading(noun, line);
    add_serving(noun, line);
}

} // namespace filterctl
