// SPDX-License-Identifier: MIT
#include <blkfilter/file_descriptor.hpp>
#include <blkfilter/transport.hpp>

#include <cerrno>
#include <sys/ioctl.h>
#include <unistd.h>

namespace blkfilter {

FileDescriptor::~FileDescriptor() {
    if (descriptor_ >= 0)
        close(descriptor_);
}

int DescriptorTransport::ioctl(unsigned long request, void* argument) {
    const int status = ::ioctl(file_.get(), request, argument);
    return status < 0 ? -errno : status;
}

} // namespace blkfilter
