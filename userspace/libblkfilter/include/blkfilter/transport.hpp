// SPDX-License-Identifier: MIT
/// @file
/// The way into the kernel, replaceable for tests.
#pragma once

#include <blkfilter/file_descriptor.hpp>

#include <utility>

namespace blkfilter {

/// Carries ioctls.  An implementation must allow calls from several threads at
/// once.
class Transport {
public:
    Transport() = default;
    Transport(const Transport&) = delete;
    Transport& operator=(const Transport&) = delete;
    virtual ~Transport() = default;

    /// Returns what ioctl() returns, with a negative errno in place of -1.
    virtual int ioctl(unsigned long request, void* argument) = 0;
};

/// The real one: ioctls on an open file.
class DescriptorTransport final : public Transport {
public:
    explicit DescriptorTransport(FileDescriptor file) : file_{std::move(file)} {}
    int ioctl(unsigned long request, void* argument) override;

private:
    FileDescriptor file_;
};

} // namespace blkfilter
