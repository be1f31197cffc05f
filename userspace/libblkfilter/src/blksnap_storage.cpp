// SPDX-License-Identifier: MIT
#include "message.hpp"

#include <blkfilter/blksnap.hpp>

#include <cerrno>
#include <cstdlib>
#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace blkfilter::blksnap {

namespace {

/// A file that has lost its name at once, for file systems that cannot make one without.
FileDescriptor make_and_unlink(const std::filesystem::path& folder) {
    auto name = (folder / "storage-XXXXXX").string();
    FileDescriptor file{mkostemp(name.data(), O_CLOEXEC)};
    if (file.get() >= 0)
        unlink(name.c_str());
    return file;
}

FileDescriptor make_file(const std::filesystem::path& folder) {
    FileDescriptor file{::open(folder.c_str(), O_TMPFILE | O_RDWR | O_EXCL | O_CLOEXEC, S_IRUSR | S_IWUSR)};
    return file.get() < 0 && errno == EOPNOTSUPP ? make_and_unlink(folder) : std::move(file);
}

/// On btrfs a file's blocks only stay where they are when it is not copied on write; others do not know that.
void stay_in_place(int file) {
    int flags = 0;
    if (::ioctl(file, FS_IOC_GETFLAGS, &flags) == 0) {
        flags |= FS_NOCOW_FL;
        static_cast<void>(::ioctl(file, FS_IOC_SETFLAGS, &flags));
    }
}

/// The whole length, and on the disk: the kernel goes by the blocks that the file system has given it.
int allocate(int file, std::uint64_t bytes) {
    while (fallocate(file, 0, 0, static_cast<off_t>(bytes)) != 0)
        if (errno != EINTR)
            return errno;
    return fsync(file) == 0 ? 0 : errno;
}

std::string meaning_in_folder(int code, std::uint64_t bytes) {
    switch (code) {
    case ENOSPC:
    case EDQUOT:
        return fmt::format("no room for {} bytes of difference storage", bytes);
    case EOPNOTSUPP:
        return "the file system cannot allocate blocks beforehand: name a folder on ext4 or xfs";
    default:
        return text_of_errno(code);
    }
}

} // namespace

Result<Storage> Storage::in_folder(const std::filesystem::path& folder, std::uint64_t bytes) {
    const auto page = static_cast<std::uint64_t>(sysconf(_SC_PAGESIZE));
    constexpr std::uint64_t most = std::uint64_t{1} << 62U;
    if (bytes == 0 || bytes > most)
        return failure(EINVAL, folder.string(), fmt::format("difference storage of {} bytes", bytes));
    const auto whole = (bytes + page - 1) / page * page;
    auto file = make_file(folder);
    if (file.get() < 0)
        return failure(errno, folder.string(), text_of_errno(errno));
    stay_in_place(file.get());
    if (const int code = allocate(file.get(), whole); code != 0)
        return failure(code, folder.string(), meaning_in_folder(code, whole));
    return Storage{std::move(file), whole};
}

Result<Storage> Storage::device(const std::filesystem::path& node) {
    // Not exclusively: the kernel takes it so for the snapshot.
    FileDescriptor file{::open(node.c_str(), O_RDWR | O_CLOEXEC)};
    if (file.get() < 0)
        return failure(errno, node.string(), text_of_errno(errno));
    struct stat status{};
    std::uint64_t bytes{};
    if (fstat(file.get(), &status) != 0 || !S_ISBLK(status.st_mode))
        return failure(ENOTBLK, node.string(), "not a block device");
    if (::ioctl(file.get(), BLKGETSIZE64, &bytes) != 0)
        return failure(errno, node.string(), text_of_errno(errno));
    return Storage{std::move(file), bytes};
}

} // namespace blkfilter::blksnap
