// SPDX-License-Identifier: MIT
#include "place.hpp"

#include "below.hpp"

#include <blkfilter-common/replace_file.hpp>
#include <blkfilter/redirect.hpp>
#include <filterd/plugin.hpp>
#include <linux/blkfilter-redirect.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <fmt/format.h>
#include <fstream>
#include <linux/magic.h>
#include <string_view>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <system_error>
#include <unistd.h>

namespace filterd::redirects {

namespace fs = std::filesystem;
using blkfilter::FileDescriptor;
using blkfilter::redirect::record_bytes;

namespace {

constexpr std::array<std::string_view, 4> words{"none", "target", "device", "file"};

[[noreturn]] void fail(const fs::path& path) {
    const int code = errno;
    throw Failure{code, fmt::format("{}: {}", path.string(), std::strerror(code))};
}

/// Before anything is made there.
void expect_lasting_and_apart(const fs::path& file, const std::string& source, const Roots& roots) {
    const auto folder = file.parent_path();
    struct statfs about{};
    if (::statfs(folder.c_str(), &about) != 0)
        fail(folder);
    if (about.f_type == TMPFS_MAGIC || about.f_type == RAMFS_MAGIC)
        throw Failure{EOPNOTSUPP,
                      fmt::format("{} is in memory, and gone after a power loss: give a file that is on a "
                                  "disk for the record",
                                  file.string())};
    if (lies_on(device_below(folder, roots), source, roots))
        throw Failure{ELOOP, fmt::format("{} lies on the source: what is written to the source waits for its "
                                         "record, and this would wait for itself. Give a file or a device "
                                         "elsewhere",
                                         file.string())};
}

/// Its blocks are there before the first record is written.
void fill(const FileDescriptor& file, const fs::path& path) {
    const std::string zeroes(record_bytes, '\0');
    for (std::size_t done = 0; done < zeroes.size();) {
        const auto written = ::write(file.get(), zeroes.data() + done, zeroes.size() - done);
        if (written < 0)
            fail(path);
        done += static_cast<std::size_t>(written);
    }
    if (::fsync(file.get()) != 0)
        fail(path);
    blkfilter::common::sync_folder(path.parent_path());
}

/// A record, or the zeroes of one that was never written.
bool has_record(const FileDescriptor& file, std::uint64_t bytes) {
    constexpr std::string_view magic = BLKFILTER_REDIRECT_MAGIC;
    std::array<char, magic.size()> begin{};
    return bytes == record_bytes &&
           ::pread(file.get(), begin.data(), begin.size(), 0) == static_cast<ssize_t>(begin.size()) &&
           (std::string_view{begin.data(), begin.size()} == magic ||
            std::ranges::all_of(begin, [](char one) { return one == '\0'; }));
}

void prepare(const fs::path& path, bool is_new) {
    constexpr mode_t only_roots = 0600;
    const FileDescriptor file{::open(path.c_str(), O_RDWR | O_CLOEXEC | (is_new ? O_CREAT : 0), only_roots)};
    struct stat about{};
    if (file.get() < 0 || ::fstat(file.get(), &about) != 0)
        fail(path);
    if (is_new && about.st_size == 0)
        fill(file, path);
    else if (!S_ISREG(about.st_mode) || !has_record(file, static_cast<std::uint64_t>(about.st_size)))
        throw Failure{EEXIST, fmt::format("{} is no record of a migration: give a file that is not there yet",
                                          path.string())};
}

} // namespace

std::string_view to_string(Place::Kind kind) {
    return words.at(static_cast<std::size_t>(kind));
}

Place::Kind kind_of(const std::string& word) {
    const auto* const found = std::ranges::find(words, word);
    if (found == words.end())
        throw Failure{EINVAL, fmt::format("'{}' is no place of a record", word)};
    return static_cast<Place::Kind>(found - words.begin());
}

Place place_at(const fs::path& path, const Roots& roots) {
    if (!path.is_absolute())
        throw Failure{EINVAL, fmt::format("--record needs a whole path, from / on, not '{}'", path.string())};
    std::error_code error;
    const auto status = fs::status(path, error);
    if (fs::is_block_file(status))
        return {.kind = Place::Kind::device,
                .path = lasting_name(fs::canonical(path).filename().string(), roots)};
    if (fs::is_regular_file(status) || status.type() == fs::file_type::not_found)
        return {.kind = Place::Kind::file, .path = path.lexically_normal().string()};
    throw Failure{EINVAL, fmt::format("{} is neither a block device nor a file", path.string())};
}

OpenPlace open_place(const Place& place, const std::string& source, bool is_new, const Roots& roots,
                     const MakeLoop& make_loop) {
    if (place.kind == Place::Kind::device)
        return {.node = place.path};
    if (place.kind != Place::Kind::file)
        return {};
    expect_lasting_and_apart(place.path, source, roots);
    prepare(place.path, is_new);
    auto loop = make_loop(place.path);
    return {.node = loop.node, .loop = std::move(loop)};
}

std::string text_of_record_device(const std::string& name, const Roots& roots) {
    std::ifstream backing{roots.sys / "class/block" / name / "loop/backing_file"};
    std::string file;
    return std::getline(backing, file) ? fmt::format("{} by {}", file, name) : lasting_name(name, roots);
}

} // namespace filterd::redirects
