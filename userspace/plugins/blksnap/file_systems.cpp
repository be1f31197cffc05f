// SPDX-License-Identifier: MIT
#include "file_systems.hpp"

#include <algorithm>
#include <fcntl.h>
#include <fmt/format.h>
#include <fstream>
#include <libmount/libmount.h>
#include <map>
#include <memory>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <blkfilter/file_descriptor.hpp>

namespace filterd::snapshots {

namespace {

namespace fs = std::filesystem;
using blkfilter::DeviceId;
using Names = std::set<std::string>;
/// Devices, and over how many others each lies on the first ones.
using Levels = std::map<std::string, unsigned>;

/// Stacks are not deeper; a system that changes while it is looked at must not lead in circles.
constexpr unsigned levels_max = 16;

std::optional<Place> place_of(const fs::path& path) {
    struct stat status{};
    if (stat(path.c_str(), &status) != 0)
        return {};
    return Place{.file_system = status.st_dev, .device = S_ISBLK(status.st_mode) ? status.st_rdev : 0};
}

std::string line_of(const fs::path& path) {
    std::ifstream file{path};
    std::string line;
    std::getline(file, line);
    return line;
}

std::vector<fs::path> entries_of(const fs::path& folder) {
    std::error_code error;
    std::vector<fs::path> all;
    for (auto at = fs::directory_iterator{folder, error}; !error && at != fs::directory_iterator{};
         at.increment(error))
        all.push_back(at->path());
    std::ranges::sort(all);
    return all;
}

std::optional<dev_t> number_of(const std::string& name, const Roots& roots) {
    const auto text = line_of(roots.sysfs / "class/block" / name / "dev");
    unsigned major{};
    unsigned minor{};
    char colon{};
    std::istringstream words{text};
    return words >> major >> colon >> minor ? std::optional{makedev(major, minor)} : std::nullopt;
}

/// Kernel names, of those numbers that are block devices.
std::map<dev_t, std::string> names_by_number(const Roots& roots) {
    std::map<dev_t, std::string> names;
    for (const auto& entry : entries_of(roots.sysfs / "class/block"))
        if (const auto number = number_of(entry.filename(), roots))
            names.emplace(*number, entry.filename());
    return names;
}

Names partitions_of(const std::string& name, const Roots& roots) {
    Names names;
    for (const auto& entry : entries_of(roots.sysfs / "class/block" / name))
        if (fs::exists(entry / "partition"))
            names.insert(entry.filename());
    return names;
}

/// A mount, as a line of mountinfo says it.
struct Mount {
    dev_t number;
    std::string type;
    std::string source;
    std::string target;
    fs::path reachable;
};

/// Of one mount namespace.
void add_mounts(const fs::path& process, std::vector<Mount>& mounts) {
    const std::unique_ptr<libmnt_table, decltype(&mnt_unref_table)> table{
        mnt_new_table_from_file((process / "mountinfo").c_str()), mnt_unref_table};
    const std::unique_ptr<libmnt_iter, decltype(&mnt_free_iter)> at{mnt_new_iter(MNT_ITER_FORWARD),
                                                                    mnt_free_iter};
    libmnt_fs* mount = nullptr;
    while (table && at && mnt_table_next_fs(table.get(), at.get(), &mount) == 0) {
        const auto text = [](const char* value) { return std::string{value ? value : ""}; };
        const auto target = text(mnt_fs_get_target(mount));
        mounts.push_back({.number = mnt_fs_get_devno(mount),
                          .type = text(mnt_fs_get_fstype(mount)),
                          .source = text(mnt_fs_get_source(mount)),
                          .target = target,
                          .reachable = process / "root" / fs::path{target}.relative_path()});
    }
}

/// Of all mount namespaces, that of the first process first.
std::vector<Mount> all_mounts(const Roots& roots) {
    std::vector<fs::path> processes;
    for (const auto& entry : entries_of(roots.proc))
        if (std::ranges::all_of(entry.filename().string(), [](char c) { return c >= '0' && c <= '9'; }))
            processes.push_back(entry);
    std::ranges::sort(processes, {}, [](const fs::path& path) { return std::stoull(path.filename()); });
    std::set<fs::path> seen;
    std::vector<Mount> mounts;
    for (const auto& process : processes) {
        std::error_code error;
        const auto space = fs::read_symlink(process / "ns/mnt", error);
        // One that has just ended has none.
        if (!error && seen.insert(space).second)
            add_mounts(process, mounts);
    }
    return mounts;
}

/// The system as it is at one time.
class View {
public:
    explicit View(const Roots& roots)
        : roots_{&roots}, names_{names_by_number(roots)}, mounts_{all_mounts(roots)} {}

    [[nodiscard]] const std::vector<Mount>& mounts() const { return mounts_; }

    /// Its devices, by their names. btrfs has a number that is no device's: its source is one.
    [[nodiscard]] Names devices_of(const Mount& mount) const {
        if (const auto found = names_.find(mount.number); found != names_.end())
            return {found->second};
        if (mount.type == "btrfs")
            return devices_of_btrfs(mount);
        return {};
    }

    /// All that @p first is, and that is built of it.
    [[nodiscard]] Levels above(const Names& first) const {
        Levels all;
        for (const auto& name : first)
            all.emplace(name, 0);
        for (bool more = true; more;) {
            more = false;
            const auto lies = [&](const std::string& name, unsigned level) {
                const auto [at, is_new] = all.try_emplace(name, level);
                const bool is_higher = !is_new && level > at->second && level <= levels_max;
                if (is_higher)
                    at->second = level;
                more = more || is_new || is_higher;
            };
            for (const auto& [name, level] : Levels{all}) {
                for (const auto& part : partitions_of(name, *roots_))
                    lies(part, level);
                for (const auto& holder : entries_of(roots_->sysfs / "class/block" / name / "holders"))
                    lies(holder.filename(), level + 1);
            }
            for (const auto& [loop, below] : loops())
                for (const auto& name : below)
                    if (const auto found = all.find(name); found != all.end())
                        lies(loop, found->second + 1);
        }
        return all;
    }

private:
    [[nodiscard]] Names devices_of_btrfs(const Mount& mount) const {
        const auto place = roots_->place(mount.source);
        const auto source = place ? names_.find(place->device) : names_.end();
        if (source == names_.end())
            return {};
        for (const auto& one : entries_of(roots_->sysfs / "fs/btrfs")) {
            Names devices;
            for (const auto& device : entries_of(one / "devices"))
                devices.insert(device.filename());
            if (devices.contains(source->second))
                return devices;
        }
        return {source->second};
    }

    /// The device that a file is on.
    [[nodiscard]] Names below_file(const fs::path& path) const {
        const auto place = roots_->place(path);
        if (!place)
            return {};
        if (const auto node = names_.find(place->device); place->device != 0 && node != names_.end())
            return {node->second};
        const auto mount = std::ranges::find(mounts_, place->file_system, &Mount::number);
        return mount == mounts_.end() ? Names{} : devices_of(*mount);
    }

    /// Loop devices, and what their files are on.
    [[nodiscard]] std::map<std::string, Names> loops() const {
        std::map<std::string, Names> found;
        for (const auto& [number, name] : names_)
            if (const auto file = line_of(roots_->sysfs / "class/block" / name / "loop/backing_file");
                !file.empty())
                found.emplace(name, below_file(file));
        return found;
    }

    const Roots* roots_;
    std::map<dev_t, std::string> names_;
    std::vector<Mount> mounts_;
};

std::string warning_of(const FileSystem& one, const Names& devices, const Levels& all) {
    if (one.type == "btrfs" &&
        !std::ranges::all_of(devices, [&](const auto& name) { return all.contains(name); }))
        return "btrfs of several devices, of which not all take part: the image cannot be used";
    if (one.type == "btrfs")
        return "btrfs: its image has the same id, and cannot be mounted while this one is; it is not frozen";
    return one.frozen ? "" : fmt::format("{}: not frozen, its image is as after a power failure", one.device);
}

} // namespace

Roots system_roots() {
    return {.place = place_of};
}

std::vector<FileSystem> file_systems_on(const Names& names, const Roots& roots) {
    const View view{roots};
    const auto all = view.above(names);
    std::vector<FileSystem> found;
    std::set<dev_t> seen;
    for (const auto& mount : view.mounts()) {
        const auto devices = view.devices_of(mount);
        const auto device = std::ranges::find_if(devices, [&](const auto& one) { return all.contains(one); });
        if (device == devices.end() || !seen.insert(mount.number).second)
            continue;
        auto& one = found.emplace_back(FileSystem{.device = *device,
                                                  .type = mount.type,
                                                  .mount_point = mount.target,
                                                  .reachable = mount.reachable,
                                                  .level = all.at(*device)});
        if (const auto id = DeviceId::from_number(major(mount.number), minor(mount.number), roots.sysfs))
            one.id = *id;
        // The kernel freezes those of the devices themselves without being told their ids.
        one.frozen = mount.type != "btrfs" && (one.level == 0 || one.id.diskseq != 0);
        one.warning = warning_of(one, devices, all);
    }
    return found;
}

std::vector<DeviceId> to_be_frozen(std::vector<FileSystem> all) {
    std::ranges::sort(all, std::ranges::greater{}, &FileSystem::level);
    std::vector<DeviceId> devices;
    for (const auto& one : all)
        if (one.frozen && one.level > 0)
            devices.push_back(one.id);
    return devices;
}

void write_back(const std::vector<FileSystem>& all) {
    for (const auto& one : all) {
        if (one.frozen)
            continue;
        const blkfilter::FileDescriptor folder{::open(one.reachable.c_str(), O_RDONLY | O_CLOEXEC)};
        if (folder.get() >= 0)
            static_cast<void>(syncfs(folder.get()));
    }
}

} // namespace filterd::snapshots
