// SPDX-License-Identifier: MIT
/// @file
/// Between the kernel's structures and ours.  Neither installed nor exported.
#pragma once

#include "message.hpp"

#include <blkfilter/control.hpp>
#include <blkfilter/error.hpp>
#include <blkfilter/transport.hpp>
#include <blkfilter/types.hpp>
#include <linux/blkfilter-control.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#pragma GCC visibility push(hidden)

namespace blkfilter {

inline std::uint64_t address_of(const void* memory) {
    return reinterpret_cast<std::uintptr_t>(memory);
}

inline blkfilter_device raw_device(const DeviceId& device) {
    return {.major = device.major, .minor = device.minor, .diskseq = device.diskseq};
}

inline std::vector<blkfilter_device> raw_devices(std::span<const DeviceId> devices) {
    std::vector<blkfilter_device> raw(devices.size());
    std::ranges::transform(devices, raw.begin(), raw_device);
    return raw;
}

inline DeviceId device_of(const blkfilter_device& raw) {
    return {.major = raw.major, .minor = raw.minor, .diskseq = raw.diskseq};
}

inline Uuid uuid_of(const std::uint8_t (&raw)[Uuid::length_bytes]) {
    return Uuid{std::bit_cast<Uuid::Array>(raw)};
}

inline void put_uuid(std::uint8_t (&raw)[Uuid::length_bytes], const Uuid& id) {
    std::memcpy(raw, id.bytes().data(), sizeof(raw));
}

/// A text field, up to its NUL.
inline std::string text_of(std::span<const std::uint8_t> field) {
    return {field.begin(), std::ranges::find(field, 0)};
}

/// Writes a text field with its NUL.  @p what names it in the message; the field
/// is zero before.  ENAMETOOLONG, or EINVAL for a text with a NUL inside.
Result<void> put_text(std::span<std::uint8_t> field, std::string_view text, std::string_view what);

/// As put_text(), for a filter's name, which must not be empty.
Result<void> put_filter_name(std::span<std::uint8_t> field, std::string_view name);

/// Milliseconds as the kernel takes them.  ERANGE: negative or above 32 bits.
Result<std::uint32_t> raw_milliseconds(std::chrono::milliseconds time);

/// The kernel's form of @p entries, which must outlive it: the addresses of the
/// options point into them.  EINVAL, ENAMETOOLONG and E2BIG name the entry.
Result<std::vector<blkfilter_stack_entry>> raw_entries(std::span<const EntryRequest> entries);

/// Sends a command with its structure to a filter. What an errno says more than of any filter is what
/// @p explain(command, errno) says, unless that is empty.
template <class Raw, class Meaning>
Result<void> send_command(const Control& control, const DeviceId& device, std::string_view filter,
                          std::uint32_t command, Raw& raw, Meaning&& explain) {
    const auto answer = control.command(device, filter, command, std::as_writable_bytes(std::span{&raw, 1}));
    if (answer)
        return {};
    const std::string_view meaning = explain(command, answer.error().code);
    if (meaning.empty())
        return std::unexpected(answer.error());
    return failure(answer.error().code, fmt::format("{}: {}", device_name(device), filter), meaning);
}

/// Runs one of the kernel's listing commands, again with more room as long as the
/// list has grown beyond it.
template <class Raw>
Result<std::vector<Raw>> list_all(Transport& transport, unsigned long request, std::string_view what) {
    constexpr std::uint32_t first_room = 16;
    std::vector<Raw> entries(first_room);
    for (;;) {
        for (auto& entry : entries)
            entry = {};
        blkfilter_list list{.size = sizeof(list),
                            .flags = 0,
                            .entries = address_of(entries.data()),
                            .count = static_cast<std::uint32_t>(entries.size()),
                            .entry_size = sizeof(Raw)};
        if (const int status = transport.ioctl(request, &list); status < 0)
            return failure(-status, what, meaning_of(-status));
        const bool complete = list.count <= entries.size();
        entries.resize(list.count);
        if (complete)
            return entries;
    }
}

} // namespace blkfilter

#pragma GCC visibility pop
