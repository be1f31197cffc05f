// SPDX-License-Identifier: MIT
#include <blkfilter-common/replace_file.hpp>

#include <blkfilter/file_descriptor.hpp>

#include <cerrno>
#include <fcntl.h>
#include <system_error>
#include <unistd.h>

namespace blkfilter::common {

namespace {

void expect(bool done, const std::filesystem::path& path) {
    if (!done)
        throw std::system_error{errno, std::generic_category(), path.string() + " cannot be written"};
}

void write_all(int file, std::string_view text, const std::filesystem::path& path) {
    while (!text.empty()) {
        const auto written = ::write(file, text.data(), text.size());
        if (written < 0 && errno == EINTR)
            continue;
        expect(written >= 0, path);
        text.remove_prefix(static_cast<std::size_t>(written));
    }
}

/// Until it was not a signal that ended it.
void sync(int file, const std::filesystem::path& path) {
    while (::fsync(file) != 0)
        expect(errno == EINTR, path);
}

} // namespace

void replace_file(const std::filesystem::path& path, std::string_view text, Durability durability) {
    auto next = path;
    next += ".new";
    {
        constexpr mode_t mode = 0600;
        const FileDescriptor file{::open(next.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode)};
        expect(file.get() >= 0, next);
        write_all(file.get(), text, next);
        if (durability == Durability::machine)
            sync(file.get(), next);
    }
    expect(::rename(next.c_str(), path.c_str()) == 0, path);
    if (durability == Durability::machine)
        sync_folder(path.parent_path());
}

void sync_folder(const std::filesystem::path& folder) {
    const auto path = folder.empty() ? std::filesystem::path{"."} : folder;
    const FileDescriptor file{::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
    expect(file.get() >= 0, path);
    sync(file.get(), path);
}

} // namespace blkfilter::common
