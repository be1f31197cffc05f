// SPDX-License-Identifier: MIT
#include "backup/nbd.hpp"

#include "backup/program.hpp"

#include <fmt/format.h>
#include <libnbd.h>
#include <vector>

namespace filterctl::backup {

namespace {

std::unexpected<Failure> failed(const std::filesystem::path& file, const char* what) {
    const char* why = nbd_get_error();
    return fail("failed", fmt::format("{}: {}: {}", file.string(), what, why ? why : "nobody says why"));
}

} // namespace

void NbdTarget::Close::operator()(nbd_handle* handle) const {
    nbd_close(handle);
}

Result<NbdTarget> NbdTarget::open(const std::filesystem::path& file) {
    NbdTarget target{nbd_create(), file};
    if (!target.handle_)
        return failed(file, "no memory for a connection");
    const std::vector<std::string> words{"qemu-nbd", "--format=qcow2", "--discard=unmap", "--cache=writeback",
                                         file.string()};
    {
        // It writes what is cached when we have said how far it is, and ends with the connection.
        const NoInterruption shielded;
        if (nbd_connect_systemd_socket_activation(target.handle_.get(), arguments_of(words).data()) != 0)
            return failed(file, "qemu-nbd cannot serve it (is qemu-utils installed?)");
    }
    const auto size = nbd_get_size(target.handle_.get());
    if (size < 0)
        return failed(file, "its size");
    target.size_bytes_ = static_cast<std::uint64_t>(size);
    return target;
}

Result<void> NbdTarget::done(int status, const char* what) const {
    return status == 0 ? Result<void>{} : failed(file_, what);
}

Result<void> NbdTarget::write(std::uint64_t offset_bytes, std::span<const std::byte> data) {
    return done(nbd_pwrite(handle_.get(), data.data(), data.size(), offset_bytes, 0), "cannot be written");
}

Result<void> NbdTarget::zero(std::uint64_t offset_bytes, std::uint64_t bytes) {
    return done(nbd_zero(handle_.get(), bytes, offset_bytes, 0), "cannot be written");
}

Result<void> NbdTarget::flush() {
    return done(nbd_flush(handle_.get(), 0), "cannot be written to the disk");
}

Result<void> NbdTarget::close() {
    if (auto flushed = flush(); !flushed)
        return flushed;
    auto closed = done(nbd_shutdown(handle_.get(), 0), "cannot be closed");
    handle_.reset();
    return closed;
}

} // namespace filterctl::backup
