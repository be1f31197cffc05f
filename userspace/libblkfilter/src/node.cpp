// SPDX-License-Identifier: MIT
#include "raw.hpp"

#include <blkfilter/node.hpp>

#include <fcntl.h>
#include <fmt/format.h>

namespace blkfilter {

namespace {

std::string meaning_on_node(int code) {
    if (code == ENOTTY)
        return "the device knows no filters: module blkfilter is not loaded, or its parameter "
               "ioctl_hook is off";
    return meaning_of(code);
}

} // namespace

Result<Node> Node::open(const std::string& path) {
    FileDescriptor file{::open(path.c_str(), O_RDONLY | O_CLOEXEC)};
    if (file.get() < 0)
        return failure(errno, path, text_of_errno(errno));
    return Node{std::make_unique<DescriptorTransport>(std::move(file)), path};
}

Result<void> Node::attach(std::string_view filter) const {
    blkfilter_name raw{};
    if (auto done = put_filter_name(raw.name, filter); !done)
        return done;
    const int status = transport_->ioctl(BLKFILTER_ATTACH, &raw);
    if (status >= 0)
        return {};

    const auto meaning = [&]() -> std::string {
        switch (-status) {
        case ENOENT:
            return "no such filter: its module is not loaded";
        case EALREADY:
            return "already attached";
        case EBUSY:
            return "another filter is at its altitude";
        default:
            return meaning_on_node(-status);
        }
    }();
    return failure(-status, fmt::format("{}: {}", name_, filter), meaning);
}

Result<void> Node::detach(std::string_view filter) const {
    blkfilter_name raw{};
    if (auto done = put_filter_name(raw.name, filter); !done)
        return done;
    const int status = transport_->ioctl(BLKFILTER_DETACH, &raw);
    if (status >= 0)
        return {};

    const auto meaning = [&]() -> std::string {
        switch (-status) {
        case ENOENT:
            return "the device has no filter";
        case EINVAL:
            return "not attached, but another filter is";
        case EBUSY:
            return "the filter refuses: what it holds would be lost";
        default:
            return meaning_on_node(-status);
        }
    }();
    return failure(-status, fmt::format("{}: {}", name_, filter), meaning);
}

Result<std::size_t> Node::control(std::string_view filter, std::uint32_t number,
                                  std::span<std::byte> argument) const {
    blkfilter_ctl raw{};
    if (auto done = put_filter_name(raw.name, filter); !done)
        return std::unexpected(done.error());
    raw.cmd = number;
    raw.optlen = static_cast<std::uint32_t>(argument.size());
    raw.opt = argument.empty() ? 0 : address_of(argument.data());
    if (const int status = transport_->ioctl(BLKFILTER_CTL, &raw); status < 0)
        return command_failed(-status, name_, filter, number);
    return std::min<std::size_t>(raw.optlen, argument.size());
}

} // namespace blkfilter
