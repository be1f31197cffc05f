// SPDX-License-Identifier: MIT
#include "backup/restore.hpp"

#include "backup/program.hpp"
#include "backup/read.hpp"

#include <blkfilter/file_descriptor.hpp>

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <fmt/format.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace filterctl::backup {

namespace fs = std::filesystem;
using blkfilter::FileDescriptor;

namespace {

/// What is written to; it is held from the first look at it until all is written.
struct Target {
    FileDescriptor file;
    fs::path partial{}; ///< its name until it is whole; empty: a block device
};

std::unexpected<Failure> failed(const fs::path& path) {
    return fail("failed", fmt::format("{}: {}", path.string(), std::strerror(errno)));
}

// --- a block device ---

/// While it is open nobody mounts it, and nothing is built on it.
Result<Target> open_device(const fs::path& path, const Copy& copy) {
    FileDescriptor file{::open(path.c_str(), O_RDWR | O_EXCL | O_CLOEXEC)};
    std::uint64_t bytes{};
    if (file.get() < 0 && errno == EBUSY)
        return fail("refused", fmt::format("{}: is in use: unmount it first", path.string()));
    if (file.get() < 0 || ioctl(file.get(), BLKGETSIZE64, &bytes) != 0)
        return failed(path);
    if (bytes < copy.base.size_bytes)
        return fail("failed", fmt::format("{}: has {} bytes, and {} had {}", path.string(), bytes,
                                          copy.device, copy.base.size_bytes));
    return Target{.file = std::move(file)};
}

// --- a file ---

/// A file there would be in memory, where somebody has meant a disk.
bool is_among_devices(const fs::path& path) {
    struct stat folder{};
    struct stat devices{};
    return stat(path.parent_path().c_str(), &folder) == 0 && stat("/dev", &devices) == 0 &&
           folder.st_dev == devices.st_dev;
}

/// A new one of our own: what somebody else has put there is neither followed nor written to.
Result<Target> create_file(const fs::path& path, const Copy& copy, bool force) {
    auto partial = path;
    partial += ".partial";
    if (force && unlink(partial.c_str()) != 0 && errno != ENOENT)
        return failed(partial);
    FileDescriptor file{
        ::open(partial.c_str(), O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, S_IRUSR | S_IWUSR)};
    if (file.get() < 0 && errno == EEXIST)
        return fail("refused",
                    fmt::format("{}: is there, and would be overwritten: --force", partial.string()));
    if (file.get() < 0)
        return failed(partial);
    if (ftruncate(file.get(), static_cast<off_t>(copy.base.size_bytes)) != 0) {
        auto failure = failed(partial);
        unlink(partial.c_str());
        return failure;
    }
    return Target{.file = std::move(file), .partial = std::move(partial)};
}

// --- both ---

Result<Target> open_target(const fs::path& path, const Copy& copy, bool force) {
    struct stat status{};
    if (lstat(path.c_str(), &status) != 0) {
        if (errno != ENOENT)
            return failed(path);
        return is_among_devices(path)
                   ? fail("not-found", fmt::format("{}: there is no such device", path.string()))
                   : create_file(path, copy, force);
    }
    if (stat(path.c_str(), &status) != 0)
        return fail("not-found",
                    fmt::format("{}: what it leads to: {}", path.string(), std::strerror(errno)));
    if (!force)
        return fail("refused",
                    fmt::format("{}: all that is there would be overwritten: --force", path.string()));
    if (S_ISBLK(status.st_mode))
        return open_device(path, copy);
    return S_ISREG(status.st_mode)
               ? create_file(path, copy, force)
               : fail("invalid", fmt::format("{}: neither a block device nor a file", path.string()));
}

/// By our own descriptor of it, whatever has its name meanwhile. A new file reads as zeroes.
Result<void> convert(const fs::path& from, const Target& target) {
    const auto to = fmt::format("/proc/{}/fd/{}", getpid(), target.file.get());
    std::vector<std::string> words{"qemu-img", "convert", "-n", "-f", "qcow2", "-O", "raw"};
    if (!target.partial.empty())
        words.emplace_back("--target-is-zero");
    words.insert(words.end(), {from.string(), to});
    if (const auto converted = run_program(words); !converted)
        return pass_on(converted);
    return fsync(target.file.get()) == 0 ? Result<void>{} : failed(to);
}

/// The file has its name when all of it is on the disk.
Result<void> name_file(const fs::path& partial, const fs::path& path) {
    std::error_code error;
    fs::rename(partial, path, error);
    return error ? fail("failed", fmt::format("{}: {}", path.string(), error.message()))
                 : sync_folder(path.parent_path());
}

Result<void> write_target(const fs::path& from, const Target& target, const fs::path& path) {
    auto done = convert(from, target);
    if (target.partial.empty())
        return done;
    if (done)
        done = name_file(target.partial, path);
    if (!done)
        unlink(target.partial.c_str());
    return done;
}

} // namespace

Result<void> restore(const Store& store, const RestoreRequest& request,
                     const std::function<void(const std::string&)>& told) {
    const auto manifest = store.read(request.number);
    if (!manifest)
        return pass_on(manifest);
    const auto* copy = manifest->find(request.device);
    if (!copy)
        return fail("not-found", fmt::format("backup {} has no device '{}'", request.number, request.device));
    const auto path = fs::absolute(request.target);
    const auto target = open_target(path, *copy, request.force);
    if (!target)
        return pass_on(target);
    auto done = verify(store, request.number, told);
    if (!done) {
        if (!target->partial.empty())
            unlink(target->partial.c_str());
        return done;
    }
    told(request.target.string());
    return write_target(store.folder_of(request.number) / copy->file, *target, path);
}

} // namespace filterctl::backup
