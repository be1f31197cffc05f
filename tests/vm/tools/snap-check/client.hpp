// SPDX-License-Identifier: MIT
/// @file
/// blksnap's interface as posted, thin: what tests see is what the kernel does.
#pragma once

#include "../cases.hpp"

#include <chrono>
#include <cstdint>
#include <fmt/format.h>
#include <linux/blk-filter.h>
#include <linux/blksnap.h>
#include <linux/fs.h>
#include <string>
#include <string_view>
#include <sys/ioctl.h>
#include <unistd.h>
#include <utility>
#include <vector>

namespace snap {

/// Ends the program with a line.
template <class... Arguments>
[[noreturn]] void fail(fmt::format_string<Arguments...> text, Arguments&&... arguments) {
    fmt::print("FAILED: {}\n", fmt::format(text, std::forward<Arguments>(arguments)...));
    std::fflush(stdout);
    std::_Exit(1);
}

/// An open file; fails where it cannot be opened.
class File {
public:
    File(const std::string& path, int flags)
        : path_(path), fd_(::open(path.c_str(), flags | O_CLOEXEC, 0600)) {
        if (fd_ < 0)
            fail("{}: {}", path, checks::name_of(errno));
    }
    File(File&& other) noexcept : path_(std::move(other.path_)), fd_(std::exchange(other.fd_, -1)) {}
    File& operator=(File&&) = delete;
    File(const File&) = delete;
    File& operator=(const File&) = delete;
    ~File() {
        if (fd_ >= 0)
            ::close(fd_);
    }
    [[nodiscard]] int fd() const { return fd_; }
    [[nodiscard]] const std::string& path() const { return path_; }

private:
    std::string path_;
    int fd_;
};

/// @return 0 or an errno.
template <class Argument>
int call(const File& file, unsigned long number, Argument& argument) {
    return ::ioctl(file.fd(), number, &argument) < 0 ? errno : 0;
}

/// A command to the filter of a device; @return 0 or an errno.
template <class Argument>
int command(const File& device, blkfilter_ctl_blksnap number, Argument& argument) {
    blkfilter_ctl ctl{};
    std::strncpy(reinterpret_cast<char*>(ctl.name), BLKSNAP_FILTER, sizeof(ctl.name));
    ctl.cmd = number;
    ctl.optlen = sizeof(argument);
    ctl.opt = reinterpret_cast<std::uintptr_t>(&argument);
    return call(device, BLKFILTER_CTL, ctl);
}

inline int attach(const File& device) {
    blkfilter_name name{};
    std::strncpy(reinterpret_cast<char*>(name.name), BLKSNAP_FILTER, sizeof(name.name));
    return call(device, BLKFILTER_ATTACH, name);
}

inline void expect_success(int error, std::string_view what) {
    if (error != 0)
        fail("{}: {}", what, checks::name_of(error));
}

inline std::uint64_t bytes_of(const File& device) {
    std::uint64_t bytes = 0;
    expect_success(call(device, BLKGETSIZE64, bytes), device.path());
    return bytes;
}

/// One snapshot; destroyed with it.
class Snapshot {
public:
    explicit Snapshot(const File& control) : control_(control) {
        expect_success(call(control_, IOCTL_BLKSNAP_SNAPSHOT_CREATE, id_), "create");
    }
    Snapshot(const Snapshot&) = delete;
    Snapshot& operator=(const Snapshot&) = delete;
    Snapshot(Snapshot&&) = delete;
    Snapshot& operator=(Snapshot&&) = delete;
    ~Snapshot() { expect_success(call(control_, IOCTL_BLKSNAP_SNAPSHOT_DESTROY, id_), "destroy"); }

    void add(const File& device) {
        blksnap_snapshotadd add{id_};
        int error = command(device, blkfilter_ctl_blksnap_snapshotadd, add);
        if (error == ENOENT) {
            expect_success(attach(device), "attach");
            error = command(device, blkfilter_ctl_blksnap_snapshotadd, add);
        }
        expect_success(error, "snapshotadd " + device.path());
    }

    int append(const std::string& path, std::vector<blksnap_sectors> ranges) {
        blksnap_snapshot_append_storage append{.id = id_,
                                               .bdev_path = reinterpret_cast<std::uintptr_t>(path.c_str()),
                                               .bdev_path_size = static_cast<std::uint32_t>(path.size() + 1),
                                               .count = static_cast<std::uint32_t>(ranges.size()),
                                               .ranges = reinterpret_cast<std::uintptr_t>(ranges.data())};
        return call(control_, IOCTL_BLKSNAP_SNAPSHOT_APPEND_STORAGE, append);
    }

    int append_file(const File& file, std::uint32_t flags) {
        blksnap_append_file append{
            .size = sizeof(append), .flags = flags, .id = id_, .fd = file.fd(), .reserved = 0};
        return call(control_, IOCTL_BLKSNAP_SNAPSHOT_APPEND_FILE, append);
    }

    int take() { return call(control_, IOCTL_BLKSNAP_SNAPSHOT_TAKE, id_); }

    [[nodiscard]] blksnap_statistics statistics() const {
        blksnap_statistics statistics{};
        statistics.size = sizeof(statistics);
        statistics.id = id_;
        expect_success(call(control_, IOCTL_BLKSNAP_SNAPSHOT_STATISTICS, statistics), "statistics");
        return statistics;
    }

    [[nodiscard]] const blksnap_uuid& id() const { return id_; }

private:
    const File& control_;
    blksnap_uuid id_{};
};

/// The image's node, and the error of the device's snapshot.
inline std::pair<std::string, int> image_of(const File& device) {
    blksnap_snapshotinfo info{};
    expect_success(command(device, blkfilter_ctl_blksnap_snapshotinfo, info), "snapshotinfo");
    return {std::string("/dev/") + reinterpret_cast<const char*>(info.image), info.error_code};
}

inline blksnap_cbtinfo cbt_info(const File& device) {
    blksnap_cbtinfo info{};
    expect_success(command(device, blkfilter_ctl_blksnap_cbtinfo, info), "cbtinfo");
    return info;
}

/// The change map, read in pieces.
inline std::vector<std::uint8_t> change_map(const File& device, const blksnap_cbtinfo& info) {
    constexpr std::uint32_t piece = 1000;
    std::vector<std::uint8_t> bytes(info.block_count);
    for (std::uint32_t offset = 0; offset < info.block_count; offset += piece) {
        blksnap_cbtmap map{.offset = offset,
                           .length = std::min(piece, info.block_count - offset),
                           .buffer = reinterpret_cast<std::uintptr_t>(bytes.data() + offset)};
        expect_success(command(device, blkfilter_ctl_blksnap_cbtmap, map), "cbtmap");
    }
    return bytes;
}

} // namespace snap
