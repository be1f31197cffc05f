// SPDX-License-Identifier: MIT
#include "config/read.hpp"

#include <algorithm>
#include <cerrno>
#include <fmt/format.h>
#include <fstream>
#include <sstream>
#include <system_error>

namespace filterd::config {

namespace {

void load_file(const std::filesystem::path& path, std::vector<File>& files, Diagnostics& diagnostics) {
    std::ifstream stream{path};
    std::stringstream text;
    errno = 0;
    if (stream &&
        (stream.peek() == std::ifstream::traits_type::eof() ? !stream.bad() : !!(text << stream.rdbuf())))
        files.push_back({path.string(), text.str()});
    else
        diagnostics.error({.file = path.string()},
                          fmt::format("cannot be read: {}", std::generic_category().message(errno)));
}

} // namespace

std::vector<File> load(const std::filesystem::path& main_file, const std::filesystem::path& folder,
                       Diagnostics& diagnostics) {
    std::vector<File> files;
    std::vector<std::filesystem::path> more;
    std::error_code error;
    load_file(main_file, files, diagnostics);
    for (const auto& entry : std::filesystem::directory_iterator{folder, error})
        if (entry.path().extension() == ".yaml")
            more.push_back(entry.path());
    if (error && error != std::errc::no_such_file_or_directory)
        diagnostics.error({.file = folder.string()}, fmt::format("cannot be read: {}", error.message()));
    std::ranges::sort(more);
    for (const auto& path : more)
        load_file(path, files, diagnostics);
    return files;
}

} // namespace filterd::config
