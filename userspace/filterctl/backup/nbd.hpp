// SPDX-License-Identifier: MIT
/// @file
/// A qcow2 file that is written through qemu-nbd.
#pragma once

#include "client/failure.hpp"

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>

struct nbd_handle;

namespace filterctl::backup {

/// One server, which ends with the object.
class NbdTarget {
public:
    /// Serves @p file, which is there. "failed".
    static Result<NbdTarget> open(const std::filesystem::path& file);

    [[nodiscard]] std::uint64_t size_bytes() const { return size_bytes_; }

    Result<void> write(std::uint64_t offset_bytes, std::span<const std::byte> data);
    /// Reads as zeroes from now on, whatever is behind it.
    Result<void> zero(std::uint64_t offset_bytes, std::uint64_t bytes);
    /// All that was written is on the disk then.
    Result<void> flush();
    /// Flushes, and lets the server close its file.
    Result<void> close();

private:
    struct Close {
        void operator()(nbd_handle* handle) const;
    };

    explicit NbdTarget(nbd_handle* handle, std::filesystem::path file)
        : handle_{handle}, file_{std::move(file)} {}

    [[nodiscard]] Result<void> done(int status, const char* what) const;

    std::unique_ptr<nbd_handle, Close> handle_;
    std::filesystem::path file_;
    std::uint64_t size_bytes_{};
};

} // namespace filterctl::backup
