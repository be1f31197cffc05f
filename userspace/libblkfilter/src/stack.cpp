// SPDX-License-Identifier: MIT
#include "raw.hpp"

#include <blkfilter/control.hpp>

#include <fmt/format.h>
#include <iterator>
#include <memory>

namespace blkfilter {

static_assert(group_count == BLKFILTER_GROUPS);
static_assert(static_cast<int>(Group::zeroes) == BLKFILTER_GROUP_ZEROES);
static_assert(static_cast<int>(Group::flush) == BLKFILTER_GROUP_FLUSH);

namespace {

/// A writer that is that unlucky with this many others gives up.
constexpr int edit_attempts = 16;

StackEntry entry_of(const blkfilter_stack_entry& raw, std::span<const std::byte> options) {
    StackEntry entry{.name = text_of(raw.name),
                     .altitude = Altitude{raw.altitude},
                     .options = {options.begin(), options.end()},
                     .owner = {},
                     .instance = raw.instance,
                     .state = text_of(raw.state),
                     .provisional = (raw.flags & BLKFILTER_ENTRY_PROVISIONAL) != 0,
                     .from_first_bio = (raw.flags & BLKFILTER_ENTRY_FROM_FIRST_BIO) != 0,
                     .statistics = {}};
    Uuid::Array owner;
    std::ranges::copy(std::as_bytes(std::span{raw.owner}), owner.begin());
    entry.owner = OwnerTag{owner};
    auto& statistics = entry.statistics;
    std::ranges::copy(raw.statistics.bios, statistics.bios.begin());
    std::ranges::copy(raw.statistics.sectors, statistics.sectors.begin());
    statistics.taken = raw.statistics.taken;
    statistics.resumed = raw.statistics.resumed;
    statistics.ended = raw.statistics.ended;
    statistics.own = raw.statistics.own;
    return entry;
}

/// What it means that the kernel refuses a change.  @p blamed: the entry that it
/// blames, or nothing.
std::string meaning_of_refusal(int code, const EntryRequest* blamed, const StackChange& change) {
    const bool replacing = blamed && !blamed->replaces.empty();
    switch (code) {
    case ENOENT:
        return replacing ? "its module is not loaded, or what it replaces is not attached"
                         : "no such filter: its module is not loaded";
    case EEXIST:
        return "named twice";
    case EBUSY:
        return blamed ? "another filter is at its altitude, or the filter itself refuses"
                      : "a filter refuses to be detached, or another program changes this stack now";
    case ERANGE:
        return "its altitude is out of range: 0.000001 to 999999.999999";
    case EOPNOTSUPP:
        return "it cannot work on this kind of device, or cannot change its options while attached";
    case ESTALE:
        return fmt::format("its stack is not of generation {} any more: somebody changed it",
                           change.expected_generation.value_or(0));
    case ETIMEDOUT:
        return "bios on their way did not drain in time, nothing has changed: try again, or with a "
               "longer limit";
    case EINVAL:
        if (replacing)
            return "refused as invalid: its options, or what it replaces stays in the stack";
        return blamed ? "refused as invalid: its options" : meaning_of(code);
    default:
        return meaning_of(code);
    }
}

std::string names_of(const Stack& stack) {
    std::string names;
    for (const auto& entry : stack.entries)
        fmt::format_to(std::back_inserter(names), "{}{}", names.empty() ? "" : ", ", entry.name);
    return names.empty() ? "nothing" : names;
}

auto find(const Stack& stack, std::string_view filter) {
    return std::ranges::find(stack.entries, filter, &StackEntry::name);
}

} // namespace

EntryRequest request_of(const StackEntry& entry) {
    return {.name = entry.name,
            .altitude = entry.altitude,
            .options = entry.options,
            .replaces = {},
            .owner = entry.owner};
}

Result<Stack> Control::stack(const DeviceId& device) const {
    std::size_t room = BLKFILTER_STACK_MAX;
    for (;;) {
        // Not cleared: little of it is used, and who has a thousand devices calls this as often.
        const auto options = std::make_unique_for_overwrite<std::byte[]>(room * BLKFILTER_OPTIONS_MAX);
        const auto options_of = [&](std::size_t index) {
            return std::span{options.get() + (index * BLKFILTER_OPTIONS_MAX), BLKFILTER_OPTIONS_MAX};
        };
        std::vector<blkfilter_stack_entry> entries(room);
        for (std::size_t i = 0; i < room; ++i) {
            entries[i].options = address_of(options_of(i).data());
            entries[i].options_size = BLKFILTER_OPTIONS_MAX;
        }
        blkfilter_stack raw{};
        raw.size = sizeof(raw);
        raw.device = raw_device(device);
        raw.entries = address_of(entries.data());
        raw.count = static_cast<std::uint32_t>(room);
        raw.entry_size = sizeof(blkfilter_stack_entry);

        if (const int status = transport_->ioctl(BLKFILTER_IOC_GET_STACK, &raw); status < 0)
            return failure(-status, device_name(device), meaning_of(-status));
        if (raw.count > room) {
            room = raw.count;
            continue;
        }
        Stack stack{.device = device, .generation = raw.generation, .entries = {}};
        for (std::size_t i = 0; i < raw.count; ++i) {
            const auto size = std::min<std::size_t>(entries[i].options_size, BLKFILTER_OPTIONS_MAX);
            stack.entries.push_back(entry_of(entries[i], options_of(i).first(size)));
        }
        return stack;
    }
}

Result<std::uint64_t> Control::set_stack(const DeviceId& device, std::span<const EntryRequest> entries,
                                         const StackChange& change) const {
    const auto limit_ms = raw_milliseconds(change.limit);
    if (!limit_ms)
        return std::unexpected(limit_ms.error());
    auto wanted = raw_entries(entries);
    if (!wanted)
        return failure(wanted.error().code, device_name(device), wanted.error().message);

    blkfilter_stack raw{};
    raw.size = sizeof(raw);
    raw.flags = (change.dry_run ? BLKFILTER_STACK_DRY_RUN : 0) |
                (change.expected_generation ? BLKFILTER_STACK_EXPECT : 0) |
                (change.confirm ? BLKFILTER_STACK_CONFIRM : 0);
    raw.device = raw_device(device);
    raw.generation = change.expected_generation.value_or(0);
    raw.entries = wanted->empty() ? 0 : address_of(wanted->data());
    raw.count = static_cast<std::uint32_t>(wanted->size());
    raw.entry_size = sizeof(blkfilter_stack_entry);
    raw.limit_ms = *limit_ms;
    raw.failed = BLKFILTER_NO_ENTRY;

    if (const int status = transport_->ioctl(BLKFILTER_IOC_SET_STACK, &raw); status < 0) {
        const auto* blamed = raw.failed < entries.size() ? &entries[raw.failed] : nullptr;
        auto where = device_name(device);
        if (blamed)
            where += ": " + blamed->name;
        return failure(-status, where, meaning_of_refusal(-status, blamed, change));
    }
    return raw.generation;
}

Result<std::uint64_t> Control::edit_stack(const DeviceId& device, const Edit& edit,
                                          StackChange change) const {
    const bool pinned = change.expected_generation.has_value();
    for (int attempt = 1;; ++attempt) {
        const auto present = stack(device);
        if (!present)
            return std::unexpected(present.error());
        const auto wanted = edit(*present);
        if (!wanted)
            return std::unexpected(wanted.error());

        if (!pinned)
            change.expected_generation = present->generation;
        auto generation = set_stack(device, *wanted, change);
        const bool overtaken = !generation && generation.error().code == ESTALE;
        if (!overtaken || pinned || attempt == edit_attempts)
            return generation;
    }
}

Result<std::uint64_t> Control::attach(const DeviceId& device, const EntryRequest& entry,
                                      const StackChange& change) const {
    const auto with_entry = [&](const Stack& present) -> Result<std::vector<EntryRequest>> {
        if (const auto found = find(present, entry.name); found != present.entries.end())
            return failure(
                EALREADY, device_name(device),
                fmt::format("{}: already attached, at altitude {}", entry.name, found->altitude.to_string()));
        std::vector<EntryRequest> wanted;
        for (const auto& old : present.entries) {
            if (old.name != entry.replaces)
                wanted.push_back(request_of(old));
        }
        wanted.push_back(entry);
        return wanted;
    };
    return edit_stack(device, with_entry, change);
}

Result<std::uint64_t> Control::detach(const DeviceId& device, std::string_view filter,
                                      const StackChange& change) const {
    const auto without_filter = [&](const Stack& present) -> Result<std::vector<EntryRequest>> {
        if (find(present, filter) == present.entries.end())
            return failure(ENOENT, device_name(device),
                           fmt::format("{}: not attached; attached: {}", filter, names_of(present)));
        std::vector<EntryRequest> wanted;
        for (const auto& old : present.entries) {
            if (old.name != filter)
                wanted.push_back(request_of(old));
        }
        return wanted;
    };
    return edit_stack(device, without_filter, change);
}

} // namespace blkfilter
