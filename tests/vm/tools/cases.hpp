// SPDX-License-Identifier: MIT
/// @file
/// What the programs share that hand in what must be refused: cases are counted, addresses where nothing is,
/// devices.
#pragma once

#include <array>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <fmt/format.h>
#include <linux/blkfilter-control.h>
#include <linux/fs.h>
#include <span>
#include <string>
#include <string_view>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <vector>

namespace checks {

using Bytes = std::vector<std::byte>;

constexpr std::size_t page_bytes = 4096;
constexpr std::uint32_t all_ones = ~0U;

// --- what is counted ---

inline int cases = 0;
inline int failures = 0;

inline std::string name_of(int code) {
    const char* name = strerrorname_np(code);
    return code == 0 ? "success" : name ? name : std::to_string(code);
}

inline void expect(std::string_view what, int wanted, int got) {
    ++cases;
    if (wanted == got)
        return;
    ++failures;
    fmt::print("{}: {} expected, got {}\n", what, name_of(wanted), name_of(got));
}

inline void expect_value(std::string_view what, std::uint64_t wanted, std::uint64_t got) {
    ++cases;
    if (wanted == got)
        return;
    ++failures;
    fmt::print("{}: {:#x} expected, got {:#x}\n", what, wanted, got);
}

/// Prints what was counted; returns the program's result.
inline int summary() {
    fmt::print("{} cases, {} failed\n", cases, failures);
    return failures ? 1 : 0;
}

[[noreturn]] inline void stop(std::string_view what) {
    fmt::print("{}: {}\n", what, name_of(errno));
    std::exit(1);
}

// --- addresses ---

/// Three pages: the middle one to be used, the others not there.
inline std::byte* guarded_page() {
    void* pages = mmap(nullptr, 3 * page_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (pages == MAP_FAILED)
        stop("mmap");
    auto* first = static_cast<std::byte*>(pages);
    munmap(first, page_bytes);
    munmap(first + 2 * page_bytes, page_bytes);
    return first + page_bytes;
}

inline std::uint64_t address_of(const void* place) {
    return reinterpret_cast<std::uintptr_t>(place);
}

inline void* pointer_to(std::uint64_t address) {
    return reinterpret_cast<void*>(address);
}

/// Not canonical, the kernel's, the last byte of all: nothing of a program can be there.
constexpr std::array<std::uint64_t, 3> foreign_addresses{0x8000'0000'0000, 0xffff'8880'0000'0000, ~0ULL};

/// What is not there to be read.
inline std::vector<std::uint64_t> unmapped_addresses() {
    static std::byte* const page = guarded_page();
    std::vector<std::uint64_t> result{0, 1, address_of(page) - page_bytes, address_of(page) + page_bytes};
    result.insert(result.end(), foreign_addresses.begin(), foreign_addresses.end());
    return result;
}

template <class T>
Bytes bytes_of(const T& value) {
    const auto bytes = std::as_bytes(std::span{&value, 1});
    return {bytes.begin(), bytes.end()};
}

inline void put(Bytes& bytes, std::size_t offset, std::uint32_t value) {
    std::memcpy(&bytes[offset], &value, sizeof value);
}

template <std::size_t N>
void set_name(__u8 (&field)[N], std::string_view name) {
    std::memset(field, 0, N);
    std::memcpy(field, name.data(), std::min(N, name.size()));
}

/// No NUL in it.
template <std::size_t N>
void fill_name(__u8 (&field)[N]) {
    std::memset(field, 't', N);
}

// --- the devices ---

struct Disk {
    int fd;
    blkfilter_device id;
};

inline Disk open_disk(const char* path) {
    Disk disk{.fd = open(path, O_RDONLY | O_CLOEXEC), .id = {}};
    struct stat status{};
    std::uint64_t diskseq{};
    if (disk.fd < 0 || fstat(disk.fd, &status) || ioctl(disk.fd, BLKGETDISKSEQ, &diskseq))
        stop(path);
    disk.id = {.major = major(status.st_rdev), .minor = minor(status.st_rdev), .diskseq = diskseq};
    return disk;
}

inline int control = -1;

inline void open_control() {
    control = open("/dev/blkfilter", O_RDWR | O_CLOEXEC);
    if (control < 0)
        stop("/dev/blkfilter");
}

inline int call(int fd, unsigned long request, void* argument) {
    return ioctl(fd, request, argument) < 0 ? errno : 0;
}

template <class T>
int call(unsigned long request, T& argument) {
    return call(control, request, &argument);
}

} // namespace checks
