// SPDX-License-Identifier: MIT
#include "message.hpp"

#include <blkfilter/device_id.hpp>
#include <blkfilter/transport.hpp>

#include <cerrno>
#include <fcntl.h>
#include <fmt/format.h>
#include <fstream>
#include <linux/fs.h>
#include <optional>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <utility>

namespace blkfilter {

namespace {

namespace fs = std::filesystem;

fs::path folder_of(const fs::path& sysfs, std::uint32_t major, std::uint32_t minor) {
    return sysfs / "dev/block" / fmt::format("{}:{}", major, minor);
}

std::optional<std::uint64_t> read_diskseq(const fs::path& sysfs, std::uint32_t major, std::uint32_t minor) {
    const auto folder = folder_of(sysfs, major, minor);
    // A partition's folder has none: it lies in its disk's.
    for (const auto& file : {folder / "diskseq", folder / ".." / "diskseq"}) {
        std::uint64_t diskseq{};
        if (std::ifstream{file} >> diskseq)
            return diskseq;
    }
    return {};
}

Result<std::uint64_t> ask_diskseq(const fs::path& node) {
    FileDescriptor file{::open(node.c_str(), O_RDONLY | O_CLOEXEC)};
    if (file.get() < 0)
        return failure(errno, node.string(), text_of_errno(errno));
    std::uint64_t diskseq{};
    const int status = DescriptorTransport{std::move(file)}.ioctl(BLKGETDISKSEQ, &diskseq);
    if (status < 0)
        return failure(-status, node.string(), "the kernel tells no sequence number");
    return diskseq;
}

} // namespace

Result<DeviceId> DeviceId::from_path(const fs::path& node) {
    struct stat status{};
    if (stat(node.c_str(), &status) != 0)
        return failure(errno, node.string(), text_of_errno(errno));
    if (!S_ISBLK(status.st_mode))
        return failure(ENOTBLK, node.string(), "not a block device");

    DeviceId device{.major = major(status.st_rdev), .minor = minor(status.st_rdev)};
    if (const auto known = read_diskseq("/sys", device.major, device.minor)) {
        device.diskseq = *known;
        return device;
    }
    const auto told = ask_diskseq(node);
    if (!told)
        return std::unexpected(told.error());
    device.diskseq = *told;
    return device;
}

Result<DeviceId> DeviceId::from_number(std::uint32_t major, std::uint32_t minor, const fs::path& sysfs) {
    if (const auto diskseq = read_diskseq(sysfs, major, minor))
        return DeviceId{.major = major, .minor = minor, .diskseq = *diskseq};
    return failure(ENODEV, fmt::format("{}:{}", major, minor), "no such block device");
}

std::string DeviceId::number() const {
    return fmt::format("{}:{}", major, minor);
}

std::string DeviceId::to_string() const {
    return fmt::format("{}:{}#{}", major, minor, diskseq);
}

std::string device_name(const DeviceId& device, const fs::path& sysfs) {
    std::error_code error;
    const auto folder = fs::read_symlink(folder_of(sysfs, device.major, device.minor), error);
    // The name of a later device of the same number would mislead.
    if (error || read_diskseq(sysfs, device.major, device.minor) != device.diskseq)
        return device.number();
    return folder.filename().string();
}

} // namespace blkfilter
