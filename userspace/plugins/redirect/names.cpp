// SPDX-License-Identifier: MIT
#include "names.hpp"

#include <algorithm>
#include <array>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <fstream>
#include <sstream>
#include <system_error>

namespace filterd::redirects {

namespace fs = std::filesystem;

namespace {

using Words = std::vector<std::string>;

/// In /dev, the best first.
constexpr std::array folders{"mapper", "disk/by-id", "disk/by-partuuid", "disk/by-path"};

std::vector<Words> lines_of(const fs::path& path) {
    std::vector<Words> lines;
    std::ifstream file{path};
    for (std::string line; std::getline(file, line);) {
        std::istringstream text{line};
        Words words;
        for (std::string word; text >> word;)
            words.push_back(std::move(word));
        if (!words.empty() && !words.front().starts_with('#'))
            lines.push_back(std::move(words));
    }
    return lines;
}

/// The links of a folder to the device, in the order of their names.
std::vector<std::string> links_in(const fs::path& folder, const std::string& name) {
    std::vector<std::string> links;
    std::error_code error;
    for (auto at = fs::directory_iterator{folder, error}; !error && at != fs::directory_iterator{};
         at.increment(error)) {
        std::error_code no_link;
        if (fs::read_symlink(at->path(), no_link).filename() == name && !no_link)
            links.push_back(at->path().string());
    }
    std::ranges::sort(links);
    return links;
}

/// A mounted file system: its mount point is written as fstab has it, with \040 for a space.
struct Mount {
    std::string root; ///< the folder of it that is mounted
    std::string point;
    std::string options;
    std::string type;
    std::string source;
};

/// A line: id, parent, number, root, mount point, options, optional fields, "-", type, source, options of
/// the file system.
std::vector<Mount> mounts_of(const std::string& number, const Roots& roots) {
    constexpr std::size_t fixed_fields = 6;
    std::vector<Mount> mounts;
    for (const auto& words : lines_of(roots.proc / "self/mountinfo")) {
        const auto dash = std::ranges::find(words, "-");
        if (words.size() > fixed_fields && words.end() - dash > 2 && words[2] == number)
            mounts.push_back({.root = words[3],
                              .point = words[4],
                              .options = words[5],
                              .type = *(dash + 1),
                              .source = *(dash + 2)});
    }
    return mounts;
}

/// Of whole file systems, each mount point once.
std::vector<Mount> whole_mounts_of(const std::string& number, const Roots& roots) {
    std::vector<Mount> whole;
    for (auto& mount : mounts_of(number, roots))
        if (mount.root == "/" && std::ranges::find(whole, mount.point, &Mount::point) == whole.end())
            whole.push_back(std::move(mount));
    return whole;
}

bool is_swap(const std::string& name, const Roots& roots) {
    return std::ranges::any_of(lines_of(roots.proc / "swaps"), [&](const Words& words) {
        return fs::path{words.front()}.filename() == name;
    });
}

} // namespace

std::vector<std::string> lasting_names(const std::string& name, const Roots& roots) {
    std::vector<std::string> all;
    for (const auto* folder : folders)
        for (auto& link : links_in(roots.dev / folder, name))
            all.push_back(std::move(link));
    return all;
}

std::string lasting_name(const std::string& name, const Roots& roots) {
    const auto all = lasting_names(name, roots);
    return all.empty() ? (roots.dev / name).string() : all.front();
}

bool is_lasting(const std::string& path, const Roots& roots) {
    const auto folder = fs::path{path}.parent_path();
    return std::ranges::any_of(folders, [&](const char* one) { return folder == roots.dev / one; });
}

std::string mount_source(const std::string& number, const Roots& roots) {
    const auto mounts = mounts_of(number, roots);
    return mounts.empty() ? "" : mounts.front().source;
}

std::vector<std::string> fstab_lines(const std::string& number, const std::string& name,
                                     const std::string& target, const Roots& roots) {
    const auto now = lines_of(roots.etc / "fstab");
    std::vector<std::string> lines;
    for (const auto& mount : whole_mounts_of(number, roots)) {
        const auto found = std::ranges::find_if(
            now, [&](const Words& words) { return words.size() > 1 && words[1] == mount.point; });
        auto words = found != now.end() ? *found : Words{"",         mount.point,
                                                         mount.type, mount.options,
                                                         "0",        mount.point == "/" ? "1" : "2"};
        words.front() = target;
        lines.push_back(fmt::format("{}", fmt::join(words, " ")));
    }
    if (is_swap(name, roots))
        lines.push_back(fmt::format("{} none swap sw 0 0", target));
    return lines;
}

} // namespace filterd::redirects
