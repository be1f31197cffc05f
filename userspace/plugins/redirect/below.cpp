// SPDX-License-Identifier: MIT
#include "below.hpp"

#include <algorithm>
#include <array>
#include <fmt/format.h>
#include <fstream>
#include <set>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <system_error>
#include <vector>

namespace filterd::redirects {

namespace fs = std::filesystem;

namespace {

std::string number_of(dev_t device) {
    return fmt::format("{}:{}", major(device), minor(device));
}

std::string line_in(const fs::path& path) {
    std::ifstream file{path};
    std::string line;
    std::getline(file, line);
    return line;
}

/// Those that one step leads to.
std::vector<std::string> step_down(const std::string& number, const Roots& roots) {
    std::vector<std::string> all;
    std::error_code error;
    const auto folder = fs::canonical(roots.sys / "dev/block" / number, error);
    if (error)
        return all;
    if (fs::exists(folder / "partition", error))
        all.push_back(line_in(folder.parent_path() / "dev"));
    for (auto at = fs::directory_iterator{folder / "slaves", error}; !error && at != fs::directory_iterator{};
         at.increment(error))
        all.push_back(line_in(at->path() / "dev"));
    if (const auto file = line_in(folder / "loop/backing_file"); !file.empty())
        all.push_back(device_below(fs::path{file}, roots));
    return all;
}

} // namespace

std::string device_below(const fs::path& path, const Roots& roots) {
    struct stat about{};
    if (::stat(path.c_str(), &about) != 0)
        return "";
    // What is in a file that is a device lies there.
    return S_ISBLK(about.st_mode) ? number_of(about.st_rdev) : device_below(number_of(about.st_dev), roots);
}

std::string device_below(const std::string& number, const Roots& roots) {
    if (!number.starts_with("0:"))
        return number;
    const auto source = mount_source(number, roots);
    struct stat about{};
    if (!source.starts_with('/') || ::stat(source.c_str(), &about) != 0 || !S_ISBLK(about.st_mode))
        return "";
    return number_of(about.st_rdev);
}

bool lies_on(const std::string& device, const std::string& source, const Roots& roots) {
    std::set<std::string> seen;
    std::vector<std::string> left{device};
    while (!left.empty()) {
        const auto next = left.back();
        left.pop_back();
        if (next == source)
            return true;
        if (next.empty() || !seen.insert(next).second)
            continue;
        std::ranges::move(step_down(next, roots), std::back_inserter(left));
    }
    return false;
}

} // namespace filterd::redirects
