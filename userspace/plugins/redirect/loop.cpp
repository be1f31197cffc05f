// SPDX-License-Identifier: MIT
#include "loop.hpp"

#include <filterd/plugin.hpp>

#include <array>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <fmt/format.h>
#include <linux/loop.h>
#include <string>
#include <sys/ioctl.h>

namespace filterd::redirects {

using blkfilter::FileDescriptor;

namespace {

/// Somebody else may take the free one first.
constexpr int tries = 16;

[[noreturn]] void fail(const std::string& what, int code) {
    throw Failure{code, fmt::format("{}: {}", what, std::strerror(code))};
}

FileDescriptor opened(const std::filesystem::path& path, int flags) {
    FileDescriptor file{::open(path.c_str(), flags | O_CLOEXEC)};
    if (file.get() < 0)
        fail(path.string(), errno);
    return file;
}

/// With the block size of the disk below, which the kernel takes from a file that is open so.
FileDescriptor opened_directly(const std::filesystem::path& file) {
    FileDescriptor direct{::open(file.c_str(), O_RDWR | O_DIRECT | O_CLOEXEC)};
    if (direct.get() < 0 && errno == EINVAL)
        throw Failure{EOPNOTSUPP, fmt::format("{}: its file system has no direct I/O", file.string())};
    if (direct.get() < 0)
        fail(file.string(), errno);
    return direct;
}

loop_config config_of(const std::filesystem::path& file, int descriptor, std::uint64_t bytes) {
    loop_config config{};
    config.fd = static_cast<__u32>(descriptor);
    config.info.lo_flags = LO_FLAGS_DIRECT_IO | LO_FLAGS_AUTOCLEAR;
    config.info.lo_sizelimit = bytes;
    const auto name = file.string().substr(0, LO_NAME_SIZE - 1);
    std::memcpy(config.info.lo_file_name, name.data(), name.size());
    return config;
}

void expect_direct(const std::filesystem::path& file, int loop) {
    loop_info64 info{};
    if (::ioctl(loop, LOOP_GET_STATUS64, &info) != 0)
        fail(file.string(), errno);
    if ((info.lo_flags & LO_FLAGS_DIRECT_IO) == 0)
        throw Failure{EOPNOTSUPP,
                      fmt::format("{}: its file system has no direct I/O for loop devices", file.string())};
}

} // namespace

LoopDevice make_loop_device(const std::filesystem::path& file, std::uint64_t bytes) {
    const auto direct = opened_directly(file);
    const auto control = opened("/dev/loop-control", O_RDWR);
    const auto config = config_of(file, direct.get(), bytes);
    for (int i = 0; i < tries; ++i) {
        const int number = ::ioctl(control.get(), LOOP_CTL_GET_FREE);
        if (number < 0)
            fail("no loop device is free", errno);
        LoopDevice loop{.node = fmt::format("/dev/loop{}", number)};
        loop.open = opened(loop.node, O_RDWR);
        if (::ioctl(loop.open.get(), LOOP_CONFIGURE, &config) == 0) {
            expect_direct(file, loop.open.get());
            return loop;
        }
        if (errno != EBUSY)
            fail(loop.node.string(), errno);
    }
    fail("no loop device is free", EBUSY);
}

} // namespace filterd::redirects
