// SPDX-License-Identifier: MIT
#include "arguments.hpp"

#include <cerrno>
#include <charconv>
#include <fmt/format.h>
#include <memory>
#include <optional>

namespace blkfilter::tool {

namespace {

/// Takes the text up to the next comma off the front of @p rest, and the comma.
/// A backslash keeps the character after it from having a meaning.
std::string take_part(std::string_view& rest) {
    std::string part;
    std::size_t i = 0;
    for (; i < rest.size() && rest[i] != ','; ++i) {
        if (rest[i] == '\\' && i + 1 < rest.size())
            ++i;
        part += rest[i];
    }
    rest.remove_prefix(std::min(i + 1, rest.size()));
    return part;
}

bool is_filter_name(std::string_view text) {
    return !text.empty() && text.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789-_") == text.npos;
}

/// Puts one KEY=VALUE into @p entry; what is wrong with it, if something is.
std::optional<std::string> put(EntryRequest& entry, std::string_view key, std::string_view value) {
    if (key == "options" || key == "options-hex") {
        if (!entry.options.empty())
            return "options are given twice";
        auto options = key == "options" ? to_bytes(value) : from_hex(value);
        if (!options)
            return options.error().message;
        entry.options = std::move(*options);
        return {};
    }
    if (key == "replaces") {
        if (!is_filter_name(value))
            return fmt::format("'{}' is no filter's name", value);
        entry.replaces = value;
        return {};
    }
    if (key == "owner") {
        const auto owner = OwnerTag::parse(value);
        if (!owner)
            return owner.error().message;
        entry.owner = *owner;
        return {};
    }
    return fmt::format("unknown key '{}': options, options-hex, replaces or owner", key);
}

template <class T, class Parse>
Result<std::vector<T>> each(std::span<const std::string> texts, Parse parse) {
    std::vector<T> values;
    for (const auto& text : texts) {
        auto value = parse(text);
        if (!value)
            return std::unexpected(value.error());
        values.push_back(std::move(*value));
    }
    return values;
}

} // namespace

Result<EntryRequest> parse_entry(std::string_view text) {
    const auto bad = [&](std::string_view why) {
        return std::unexpected(Error{.code = EINVAL, .message = fmt::format("entry '{}': {}", text, why)});
    };
    EntryRequest entry;
    auto rest = text;
    const auto filter = take_part(rest);
    const auto at = filter.find('@');
    entry.name = filter.substr(0, at);
    if (!is_filter_name(entry.name))
        return bad("a filter's name consists of a-z, 0-9, '-', '_'");
    if (at != filter.npos) {
        const auto altitude = Altitude::parse(std::string_view{filter}.substr(at + 1));
        if (!altitude)
            return bad(altitude.error().message);
        entry.altitude = *altitude;
    }
    while (!rest.empty()) {
        const auto part = take_part(rest);
        const auto equals = part.find('=');
        if (equals == part.npos)
            return bad(fmt::format("'{}' is not KEY=VALUE", part));
        const auto value = std::string_view{part}.substr(equals + 1);
        if (const auto wrong = put(entry, part.substr(0, equals), value))
            return bad(*wrong);
    }
    return entry;
}

std::string entry_complaint(const std::string& text) {
    const auto entry = parse_entry(text);
    return entry ? std::string{} : entry.error().message;
}

Result<std::vector<EntryRequest>> parse_entries(std::span<const std::string> texts) {
    return each<EntryRequest>(texts, parse_entry);
}

Result<DeviceId> find_device(const std::string& text) {
    const bool is_path = text.find('/') != text.npos;
    return DeviceId::from_path(is_path ? text : "/dev/" + text);
}

Result<Subject> Subject::open(const std::string& device) {
    auto control = Control::open();
    if (!control)
        return std::unexpected(control.error());
    const auto id = find_device(device);
    if (!id)
        return std::unexpected(id.error());
    return Subject{.control = std::move(*control), .device = *id};
}

Result<std::vector<DeviceId>> find_devices(std::span<const std::string> texts) {
    return each<DeviceId>(texts, find_device);
}

namespace {

/// All of @p text as a number.
std::optional<std::uint64_t> number_of(std::string_view text) {
    std::uint64_t number{};
    const auto* end = std::to_address(text.end());
    const auto read = std::from_chars(std::to_address(text.begin()), end, number);
    return read.ec == std::errc{} && read.ptr == end ? std::optional{number} : std::nullopt;
}

Result<cbt::Range> parse_range(const std::string& text) {
    const auto plus = text.find('+');
    if (plus != text.npos) {
        const auto sector = number_of(std::string_view{text}.substr(0, plus));
        const auto sectors = number_of(std::string_view{text}.substr(plus + 1));
        if (sector && sectors)
            return cbt::Range{.sector = *sector, .sectors = *sectors};
    }
    return std::unexpected(Error{.code = EINVAL, .message = fmt::format("'{}' is not SECTOR+SECTORS", text)});
}

} // namespace

Result<std::vector<cbt::Range>> parse_ranges(std::span<const std::string> texts) {
    return each<cbt::Range>(texts, parse_range);
}

} // namespace blkfilter::tool
