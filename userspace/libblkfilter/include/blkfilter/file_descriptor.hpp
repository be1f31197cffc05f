// SPDX-License-Identifier: MIT
/// @file
/// An open file.
#pragma once

#include <utility>

namespace blkfilter {

/// Owns a file descriptor and closes it.
class FileDescriptor {
public:
    FileDescriptor() = default;
    explicit FileDescriptor(int descriptor) : descriptor_{descriptor} {}
    FileDescriptor(FileDescriptor&& other) noexcept : descriptor_{std::exchange(other.descriptor_, -1)} {}
    FileDescriptor& operator=(FileDescriptor&& other) noexcept {
        std::swap(descriptor_, other.descriptor_);
        return *this;
    }
    FileDescriptor(const FileDescriptor&) = delete;
    FileDescriptor& operator=(const FileDescriptor&) = delete;
    ~FileDescriptor();

    /// -1 when nothing is open.
    [[nodiscard]] int get() const { return descriptor_; }

private:
    int descriptor_{-1};
};

} // namespace blkfilter
