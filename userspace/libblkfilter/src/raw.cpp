// SPDX-License-Identifier: MIT
#include "raw.hpp"

#include <limits>

namespace blkfilter {

Result<void> put_text(std::span<std::uint8_t> field, std::string_view text, std::string_view what) {
    if (text.size() >= field.size())
        return failure(ENAMETOOLONG, text, fmt::format("{} has more than {} bytes", what, field.size() - 1));
    if (text.find('\0') != text.npos)
        return failure(EINVAL, text, fmt::format("{} has a NUL inside", what));
    std::ranges::copy(text, field.begin());
    return {};
}

Result<void> put_filter_name(std::span<std::uint8_t> field, std::string_view name) {
    if (name.empty())
        return failure(EINVAL, "filter", "its name is empty");
    return put_text(field, name, "the filter's name");
}

Result<std::uint32_t> raw_milliseconds(std::chrono::milliseconds time) {
    if (time.count() < 0 || time.count() > std::numeric_limits<std::uint32_t>::max())
        return failure(ERANGE, fmt::format("{} ms", time.count()), "not a time from 0 to 49 days");
    return static_cast<std::uint32_t>(time.count());
}

Result<std::vector<blkfilter_stack_entry>> raw_entries(std::span<const EntryRequest> entries) {
    if (entries.size() > BLKFILTER_STACK_MAX)
        return failure(E2BIG, "stack", fmt::format("more than {} filters", BLKFILTER_STACK_MAX));

    std::vector<blkfilter_stack_entry> raw;
    raw.reserve(entries.size());
    for (const auto& entry : entries) {
        if (entry.options.size() > BLKFILTER_OPTIONS_MAX)
            return failure(E2BIG, entry.name,
                           fmt::format("options of {} bytes: at most {} are possible", entry.options.size(),
                                       BLKFILTER_OPTIONS_MAX));
        auto& out = raw.emplace_back();
        if (auto done = put_filter_name(out.name, entry.name); !done)
            return std::unexpected(done.error());
        if (auto done = put_text(out.replaces, entry.replaces, "the filter's name"); !done)
            return std::unexpected(done.error());
        std::ranges::copy(entry.owner.bytes(), std::as_writable_bytes(std::span{out.owner}).begin());
        out.altitude = entry.altitude ? entry.altitude->millionths() : 0;
        out.options = entry.options.empty() ? 0 : address_of(entry.options.data());
        out.options_size = static_cast<std::uint32_t>(entry.options.size());
    }
    return raw;
}

} // namespace blkfilter
