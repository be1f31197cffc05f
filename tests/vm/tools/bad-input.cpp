// SPDX-License-Identifier: MIT
/// @file
/// bad-input DISK OTHER: gives /dev/blkfilter and the three ioctls of a device node what they must refuse,
/// and the limits of what they must accept; prints each case whose errno is not the documented one. DISK has
/// exactly the filters test0 (with options) and test1 attached, in this order from low to high; OTHER is a
/// disk without filters. Nothing is changed.

#include "cases.hpp"

#include <array>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <fcntl.h>
#include <fmt/format.h>
#include <functional>
#include <linux/blkfilter-control.h>
#include <linux/capability.h>
#include <poll.h>
#include <span>
#include <string>
#include <string_view>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <vector>

namespace {

using namespace checks;

Disk disk;
Disk other;

// --- arguments that are right ---

blkfilter_version good_version() {
    return {.size = sizeof(blkfilter_version), .flags = 0, .version = 0, .reserved = 0, .capabilities = 0};
}

std::array<std::byte, 64 * 1024> room;

blkfilter_list good_list(std::size_t entry_bytes) {
    return {.size = sizeof(blkfilter_list),
            .flags = 0,
            .entries = address_of(room.data()),
            .count = 16,
            .entry_size = static_cast<std::uint32_t>(entry_bytes)};
}

blkfilter_stack good_get() {
    static std::array<blkfilter_stack_entry, 4> entries;
    entries = {};
    blkfilter_stack stack{};
    stack.size = sizeof stack;
    stack.device = disk.id;
    stack.entries = address_of(entries.data());
    stack.count = entries.size();
    stack.entry_size = sizeof(blkfilter_stack_entry);
    return stack;
}

/// The stack as it is, with a third filter: only ever checked, never done.
struct Wanted {
    std::array<blkfilter_stack_entry, 40> entry{};
    blkfilter_stack stack{};

    Wanted() {
        set_name(entry[0].name, "test0");
        entry[0].options = address_of("record");
        entry[0].options_size = 6;
        set_name(entry[1].name, "test1");
        set_name(entry[2].name, "test2");
        stack.size = sizeof stack;
        stack.flags = BLKFILTER_STACK_DRY_RUN;
        stack.device = disk.id;
        stack.entries = address_of(entry.data());
        stack.count = 3;
        stack.entry_size = sizeof(blkfilter_stack_entry);
    }
};

blkfilter_stack good_set() {
    static Wanted wanted;
    return wanted.stack;
}

blkfilter_point good_point() {
    blkfilter_point point{};
    point.size = sizeof point;
    point.id[0] = 1;
    point.close = address_of(&disk.id);
    point.close_count = 1;
    point.limit_ms = 20000;
    return point;
}

std::array<blkfilter_stack_entry, 40> rule_entries;

blkfilter_rule good_rule() {
    rule_entries = {};
    set_name(rule_entries[0].name, "test2");
    blkfilter_rule rule{};
    rule.size = sizeof rule;
    rule.flags = BLKFILTER_RULE_NAME;
    rule.count = 1;
    rule.entry_size = sizeof(blkfilter_stack_entry);
    set_name(rule.name, "no-such-disk");
    rule.entries = address_of(rule_entries.data());
    return rule;
}

blkfilter_rule_id good_rule_id() {
    return {.size = sizeof(blkfilter_rule_id), .flags = 0, .id = 123456, .reserved = 0};
}

blkfilter_command good_command() {
    static std::array<std::byte, 16> data;
    blkfilter_command command{};
    command.size = sizeof command;
    command.device = disk.id;
    set_name(command.name, "test0");
    command.optlen = data.size();
    command.opt = address_of(data.data());
    return command;
}

/// BLKFILTER_IOC_RULE_ADD, and the rule goes at once.
int add_rule(void* argument) {
    const int code = call(control, BLKFILTER_IOC_RULE_ADD, argument);
    if (code)
        return code;
    blkfilter_rule_id rule = good_rule_id();
    std::memcpy(&rule.id, static_cast<std::byte*>(argument) + offsetof(blkfilter_rule, id), sizeof rule.id);
    expect("the rule that was just added is removed", 0, call(BLKFILTER_IOC_RULE_REMOVE, rule));
    return 0;
}

// --- what holds for every command ---

struct Command {
    std::string_view name;
    unsigned long request;
    std::function<Bytes()> argument; ///< makes it, and what it points to, anew
    int result;                      ///< of the argument as it is
    bool writes;                     ///< the argument is written back

    [[nodiscard]] int run(void* place) const {
        return request == BLKFILTER_IOC_RULE_ADD ? add_rule(place) : call(control, request, place);
    }
};

const std::vector<Command>& commands() {
    static const std::vector<Command> all{
        {"version", BLKFILTER_IOC_VERSION, [] { return bytes_of(good_version()); }, 0, true},
        {"list filters", BLKFILTER_IOC_LIST_FILTERS,
         [] { return bytes_of(good_list(sizeof(blkfilter_filter_info))); }, 0, true},
        {"list devices", BLKFILTER_IOC_LIST_DEVICES,
         [] { return bytes_of(good_list(sizeof(blkfilter_device_info))); }, 0, true},
        {"get stack", BLKFILTER_IOC_GET_STACK, [] { return bytes_of(good_get()); }, 0, true},
        {"set stack", BLKFILTER_IOC_SET_STACK, [] { return bytes_of(good_set()); }, 0, true},
        {"point", BLKFILTER_IOC_POINT, [] { return bytes_of(good_point()); }, 0, true},
        {"rule add", BLKFILTER_IOC_RULE_ADD, [] { return bytes_of(good_rule()); }, 0, true},
        {"rule remove", BLKFILTER_IOC_RULE_REMOVE, [] { return bytes_of(good_rule_id()); }, ENOENT, false},
        {"rule list", BLKFILTER_IOC_RULE_LIST, [] { return bytes_of(good_list(sizeof(blkfilter_rule))); }, 0,
         true},
        {"command", BLKFILTER_IOC_COMMAND, [] { return bytes_of(good_command()); }, 0, true},
    };
    return all;
}

void check_sizes(const Command& command) {
    const auto bytes = static_cast<std::uint32_t>(command.argument().size());
    const auto with_size = [&](std::uint32_t size, std::size_t not_zero_at) {
        Bytes argument = command.argument();
        argument.resize(2 * page_bytes);
        put(argument, 0, size);
        if (not_zero_at)
            argument[not_zero_at] = std::byte{1};
        return command.run(argument.data());
    };
    expect(fmt::format("{}: as it is", command.name), command.result, with_size(bytes, 0));
    for (const std::uint32_t size : {0U, 1U, 4U, 8U, bytes - 8, bytes - 1})
        expect(fmt::format("{}: {} bytes", command.name, size), EINVAL, with_size(size, 0));
    for (const std::uint32_t size : {bytes + 1, bytes + 8, 4096U}) {
        expect(fmt::format("{}: {} bytes, zero", command.name, size), command.result, with_size(size, 0));
        expect(fmt::format("{}: {} bytes, not zero", command.name, size), E2BIG, with_size(size, size - 1));
    }
    for (const std::uint32_t size : {4097U, 1U << 31, all_ones})
        expect(fmt::format("{}: {} bytes", command.name, size), E2BIG, with_size(size, 0));
}

void check_flags(const Command& command) {
    for (int bit = 0; bit < 32; ++bit) {
        const bool known = (command.request == BLKFILTER_IOC_RULE_ADD && bit < 8) ||
                           (command.request == BLKFILTER_IOC_SET_STACK && bit < 3);
        Bytes argument = command.argument();
        put(argument, 4, 1U << bit);
        if (!known)
            expect(fmt::format("{}: flag {}", command.name, bit), EINVAL, command.run(argument.data()));
    }
}

void check_addresses(const Command& command) {
    for (const std::uint64_t address : unmapped_addresses())
        expect(fmt::format("{}: argument at {:#x}", command.name, address), EFAULT,
               call(control, command.request, pointer_to(address)));
    const auto good = command.argument();
    auto* const page = guarded_page();
    for (const std::size_t there : {2UL, 4UL, good.size() - 1}) {
        std::memcpy(page + page_bytes - there, good.data(), there);
        expect(fmt::format("{}: the first {} bytes are there", command.name, there), EFAULT,
               call(control, command.request, page + page_bytes - there));
    }
    std::memcpy(page + page_bytes - good.size(), good.data(), good.size());
    expect(fmt::format("{}: at the end of a page", command.name), command.result,
           command.run(page + page_bytes - good.size()));
    std::memcpy(page + 1, command.argument().data(), good.size());
    expect(fmt::format("{}: at an odd address", command.name), command.result, command.run(page + 1));
    std::memcpy(page, good.data(), good.size());
    mprotect(page, page_bytes, PROT_READ);
    expect(fmt::format("{}: read-only", command.name), command.writes ? EFAULT : command.result,
           call(control, command.request, page));
    munmap(page, page_bytes);
}

void check_unknown_commands() {
    std::array<std::byte, 256> argument{};
    for (const unsigned int number : {10U, 11U, 100U, 255U})
        expect(fmt::format("command number {}", number), ENOTTY,
               call(control, _IOC(_IOC_READ | _IOC_WRITE, 0xbf, number, 24), argument.data()));
    for (const unsigned int type : {0U, 0x12U, 0xbeU, 0xffU})
        expect(fmt::format("command type {:#x}", type), ENOTTY,
               call(control, _IOC(_IOC_READ | _IOC_WRITE, type, 0, 24), argument.data()));
}

// --- each command's own ---

void check_devices(std::string_view name, const std::function<int(const blkfilter_device&)>& run) {
    const auto with = [](auto change) {
        blkfilter_device id = disk.id;
        change(id);
        return id;
    };
    const auto check = [&](std::string_view what, int wanted, auto change) {
        expect(fmt::format("{}: {}", name, what), wanted, run(with(change)));
    };
    check("diskseq 0", EINVAL, [](auto& id) { id.diskseq = 0; });
    check("another disk's diskseq", ENODEV, [](auto& id) { id.diskseq = other.id.diskseq; });
    check("diskseq of no disk", ENODEV, [](auto& id) { id.diskseq = ~0ULL; });
    check("no such minor", ENODEV, [](auto& id) { id.minor = 0xfffff; });
    check("minor out of range", ENODEV, [](auto& id) { id.minor = 1U << 20; });
    check("no such major", ENODEV, [](auto& id) { id.major = 4095; });
    check("major out of range", ENODEV, [](auto& id) { id.major = 1U << 12; });
    check("major and minor of all ones", ENODEV, [](auto& id) { id.major = id.minor = all_ones; });
    check("number 0:0", ENODEV, [](auto& id) { id.major = id.minor = 0; });
}

void check_version() {
    auto version = good_version();
    version.reserved = 1;
    expect("version: reserved", EINVAL, call(BLKFILTER_IOC_VERSION, version));
    version = good_version();
    version.version = 77;
    version.capabilities = ~0ULL;
    expect("version: results are not looked at", 0, call(BLKFILTER_IOC_VERSION, version));
    expect_value("version", BLKFILTER_INTERFACE_VERSION, version.version);
    expect_value("capabilities", BLKFILTER_CAP_HOOK_ACTIVE | BLKFILTER_CAP_NODE_IOCTLS, version.capabilities);
}

void check_list(std::string_view name, unsigned long request, std::size_t entry_bytes, std::uint32_t there) {
    const auto check = [&](std::string_view what, int wanted, auto change) {
        auto list = good_list(entry_bytes);
        change(list);
        const int code = call(request, list);
        expect(fmt::format("{}: {}", name, what), wanted, code);
        if (!code)
            expect_value(fmt::format("{}: {}: entries", name, what), there, list.count);
    };
    check("as it is", 0, [](auto&) {});
    check("entry size 0", EINVAL, [](auto& list) { list.entry_size = 0; });
    check("entry size too small", EINVAL, [](auto& list) { --list.entry_size; });
    check("entry size too large", EINVAL, [](auto& list) { list.entry_size += 8; });
    check("entry size of all ones", EINVAL, [](auto& list) { list.entry_size = all_ones; });
    check("room for none, nowhere", 0, [](auto& list) { list.count = 0, list.entries = 0; });
    check("room for none", 0, [](auto& list) { list.count = 0, list.entries = ~0ULL; });
    check("room without end", 0, [](auto& list) { list.count = all_ones; });
    for (const std::uint64_t address : unmapped_addresses())
        check(fmt::format("entries at {:#x}", address), EFAULT, [&](auto& list) { list.entries = address; });
    auto* const page = guarded_page();
    mprotect(page, page_bytes, PROT_READ);
    check("entries read-only", EFAULT, [&](auto& list) { list.entries = address_of(page); });
    munmap(page, page_bytes);
    // What does not fit is not written.
    room.fill(std::byte{0x55});
    auto list = good_list(entry_bytes);
    list.count = 1;
    expect(fmt::format("{}: room for one", name), 0, call(request, list));
    expect_value(fmt::format("{}: behind the last", name), 0x55,
                 std::to_integer<std::uint64_t>(room[entry_bytes]));
}

void check_get() {
    check_devices("get stack", [](const blkfilter_device& id) {
        auto stack = good_get();
        stack.device = id;
        return call(BLKFILTER_IOC_GET_STACK, stack);
    });
    const auto check = [](std::string_view what, int wanted, auto change) {
        auto stack = good_get();
        change(stack, *static_cast<blkfilter_stack_entry*>(pointer_to(stack.entries)));
        const int code = call(BLKFILTER_IOC_GET_STACK, stack);
        expect(fmt::format("get stack: {}", what), wanted, code);
        if (!code)
            expect_value(fmt::format("get stack: {}: entries", what), 2, stack.count);
    };
    check("entry size 0", EINVAL, [](auto& stack, auto&) { stack.entry_size = 0; });
    check("entry size too small", EINVAL, [](auto& stack, auto&) { stack.entry_size -= 8; });
    check("entry size too large", EINVAL, [](auto& stack, auto&) { stack.entry_size += 8; });
    check("room for none", 0, [](auto& stack, auto&) { stack.count = 0, stack.entries = 0; });
    check("room for one", 0, [](auto& stack, auto&) { stack.count = 1; });
    check("room without end", 0, [](auto& stack, auto&) { stack.count = all_ones; });
    for (const std::uint64_t address : unmapped_addresses())
        check(fmt::format("entries at {:#x}", address), EFAULT,
              [&](auto& stack, auto&) { stack.entries = address; });
    check("what is in the entries is not looked at", 0, [](auto&, auto& entry) {
        fill_name(entry.name);
        entry.flags = all_ones;
        entry.altitude = ~0ULL;
    });

    // test1 comes first and has no options, so that only the second entry's address counts.
    auto stack = good_get();
    auto* const entry = static_cast<blkfilter_stack_entry*>(pointer_to(stack.entries));
    entry[1].options_size = 6;
    expect("get stack: options nowhere", EFAULT, call(BLKFILTER_IOC_GET_STACK, stack));
    stack = good_get();
    entry[1].options = ~0ULL;
    expect("get stack: no room for options", 0, call(BLKFILTER_IOC_GET_STACK, stack));
    expect_value("get stack: bytes of options", 6, entry[1].options_size);
    std::array<char, 8> options{};
    stack = good_get();
    entry[1].options = address_of(options.data());
    entry[1].options_size = 3;
    expect("get stack: little room for options", 0, call(BLKFILTER_IOC_GET_STACK, stack));
    expect_value("get stack: bytes of options", 6, entry[1].options_size);
    expect_value("get stack: options are cut", 1, std::string_view{options.data()} == "rec");
}

/// One change to a stack that is right: errno, and which entry is blamed.
void check_set_case(std::string_view what, int wanted, std::uint32_t blamed,
                    const std::function<void(Wanted&)>& change) {
    Wanted wanted_stack;
    change(wanted_stack);
    wanted_stack.stack.failed = 99;
    expect(fmt::format("set stack: {}", what), wanted, call(BLKFILTER_IOC_SET_STACK, wanted_stack.stack));
    if (blamed != 99)
        expect_value(fmt::format("set stack: {}: the entry", what), blamed, wanted_stack.stack.failed);
}

void check_set_arguments() {
    constexpr std::uint32_t unsaid = 99;
    const auto check = [](std::string_view what, int wanted, const std::function<void(Wanted&)>& change) {
        check_set_case(what, wanted, unsaid, change);
    };
    check_devices("set stack", [](const blkfilter_device& id) {
        Wanted wanted;
        wanted.stack.device = id;
        return call(BLKFILTER_IOC_SET_STACK, wanted.stack);
    });
    check("as it is", 0, [](auto&) {});
    check("entry size 0", EINVAL, [](auto& it) { it.stack.entry_size = 0; });
    check("entry size too small", EINVAL, [](auto& it) { it.stack.entry_size -= 8; });
    check("entry size too large", EINVAL, [](auto& it) { it.stack.entry_size += 8; });
    check("33 entries", E2BIG, [](auto& it) { it.stack.count = BLKFILTER_STACK_MAX + 1; });
    check("entries without end", E2BIG, [](auto& it) { it.stack.count = all_ones; });
    for (const std::uint64_t address : unmapped_addresses())
        check(fmt::format("entries at {:#x}", address), EFAULT,
              [&](auto& it) { it.stack.entries = address; });
    check("name without NUL", EINVAL, [](auto& it) { fill_name(it.entry[1].name); });
    check("replaced name without NUL", EINVAL, [](auto& it) { fill_name(it.entry[1].replaces); });
    for (int bit = 0; bit < 32; ++bit)
        check(fmt::format("flag {} of an entry", bit), EINVAL,
              [&](auto& it) { it.entry[2].flags = 1U << bit; });
    check("4097 bytes of options", EINVAL, [](auto& it) {
        it.entry[2].options = address_of(room.data());
        it.entry[2].options_size = BLKFILTER_OPTIONS_MAX + 1;
    });
    check("4096 bytes of options", 0, [](auto& it) {
        it.entry[2].options = address_of(room.data());
        it.entry[2].options_size = BLKFILTER_OPTIONS_MAX;
    });
    check("options without end", EINVAL, [](auto& it) { it.entry[2].options_size = all_ones; });
    for (const std::uint64_t address : unmapped_addresses())
        check(fmt::format("options at {:#x}", address), EFAULT, [&](auto& it) {
            it.entry[2].options = address;
            it.entry[2].options_size = 4;
        });
}

void check_set_stacks() {
    const auto check = check_set_case;
    const auto altitude = [&](std::string_view what, int wanted, std::uint64_t value) {
        check(what, wanted, wanted ? 2 : BLKFILTER_NO_ENTRY, [=](auto& it) { it.entry[2].altitude = value; });
    };
    altitude("lowest altitude", 0, BLKFILTER_ALTITUDE_MIN);
    altitude("highest altitude", 0, BLKFILTER_ALTITUDE_MAX);
    altitude("altitude too high", ERANGE, BLKFILTER_ALTITUDE_MAX + 1);
    altitude("altitude far too high", ERANGE, ~0ULL);
    altitude("altitude of another", EBUSY, 200000 * BLKFILTER_ALTITUDE_UNIT);
    check("empty name", ENOENT, 1, [](auto& it) { set_name(it.entry[1].name, ""); });
    check("no such filter", ENOENT, 2, [](auto& it) { set_name(it.entry[2].name, "test9"); });
    check("a longer name", ENOENT, 2, [](auto& it) { set_name(it.entry[2].name, "test22"); });
    check("a shorter name", ENOENT, 2, [](auto& it) { set_name(it.entry[2].name, "test"); });
    check("a new filter twice", EEXIST, 3, [](auto& it) {
        set_name(it.entry[3].name, "test2");
        it.stack.count = 4;
    });
    check("one that stays twice", EEXIST, 2, [](auto& it) {
        set_name(it.entry[2].name, "test0");
        it.entry[2].altitude = 5;
    });
    check("33 times the same", E2BIG, BLKFILTER_NO_ENTRY, [](auto& it) {
        for (auto& entry : it.entry)
            set_name(entry.name, "test2");
        it.stack.count = 33;
    });
    check("other options for one that stays", EOPNOTSUPP, 0, [](auto& it) { it.entry[0].options_size = 3; });
    check("options for one that has none", EOPNOTSUPP, 1, [](auto& it) {
        it.entry[1].options = address_of("take");
        it.entry[1].options_size = 4;
    });
    check("replaces what is not there", ENOENT, 2, [](auto& it) { set_name(it.entry[2].replaces, "test5"); });
    check("replaces what stays", EINVAL, 2, [](auto& it) { set_name(it.entry[2].replaces, "test1"); });
    check("another generation", ESTALE, BLKFILTER_NO_ENTRY, [](auto& it) {
        it.stack.flags |= BLKFILTER_STACK_EXPECT;
        it.stack.generation = ~0ULL;
    });
    auto now = good_get();
    expect("get stack", 0, call(BLKFILTER_IOC_GET_STACK, now));
    check("this generation", 0, BLKFILTER_NO_ENTRY, [&](auto& it) {
        it.stack.flags |= BLKFILTER_STACK_EXPECT;
        it.stack.generation = now.generation;
    });
    check("nothing, nowhere", 0, BLKFILTER_NO_ENTRY,
          [](auto& it) { it.stack.count = 0, it.stack.entries = 0; });
}

void check_point() {
    check_devices("point", [](const blkfilter_device& id) {
        auto point = good_point();
        point.close = address_of(&id);
        return call(BLKFILTER_IOC_POINT, point);
    });
    std::array<blkfilter_device, BLKFILTER_POINT_DEVICES_MAX + 1> many;
    many.fill(disk.id);
    const auto check = [](std::string_view what, int wanted, auto change) {
        auto point = good_point();
        change(point);
        expect(fmt::format("point: {}", what), wanted, call(BLKFILTER_IOC_POINT, point));
        return point.failed;
    };
    check("id of zeroes", EINVAL, [](auto& point) { point.id[0] = 0; });
    check("nothing to close", EINVAL, [](auto& point) { point.close_count = 0; });
    check("257 to close", EINVAL, [&](auto& point) {
        point.close = address_of(many.data());
        point.close_count = many.size();
    });
    check("no end to close", EINVAL, [](auto& point) { point.close_count = all_ones; });
    check("257 to freeze", EINVAL, [&](auto& point) {
        point.freeze = address_of(many.data());
        point.freeze_count = many.size();
    });
    check("no end to freeze", EINVAL, [](auto& point) { point.freeze_count = all_ones; });
    for (const std::uint64_t address : unmapped_addresses()) {
        check(fmt::format("close at {:#x}", address), EFAULT, [&](auto& point) { point.close = address; });
        check(fmt::format("freeze at {:#x}", address), EFAULT, [&](auto& point) {
            point.freeze = address;
            point.freeze_count = 1;
        });
    }
    check("freeze of none, nowhere", 0, [](auto& point) { point.freeze = ~0ULL; });
    check("a limit of twelve days", 0, [](auto& point) { point.limit_ms = 1U << 30; });
    check("a limit without end", 0, [](auto& point) { point.limit_ms = all_ones; });

    std::array list{disk.id, other.id};
    list[1].diskseq = disk.id.diskseq;
    expect_value("point: which to close is not there", 1,
                 check("the second is another disk", ENODEV, [&](auto& point) {
                     point.close = address_of(list.data());
                     point.close_count = list.size();
                 }));
    expect_value("point: which to freeze is not there", 1U | BLKFILTER_FAILED_FREEZE,
                 check("the second to freeze is another disk", ENODEV, [&](auto& point) {
                     point.freeze = address_of(list.data());
                     point.freeze_count = list.size();
                 }));
}

void check_rules() {
    const auto check = [](std::string_view what, int wanted, auto change) {
        auto rule = good_rule();
        change(rule);
        expect(fmt::format("rule add: {}", what), wanted, add_rule(&rule));
    };
    check("no key", EINVAL, [](auto& rule) { rule.flags = 0; });
    check("reserved", EINVAL, [](auto& rule) { rule.reserved = 1; });
    check("no filter", EINVAL, [](auto& rule) { rule.count = 0; });
    check("33 filters", EINVAL, [](auto& rule) { rule.count = BLKFILTER_STACK_MAX + 1; });
    check("filters without end", EINVAL, [](auto& rule) { rule.count = all_ones; });
    check("entry size 0", EINVAL, [](auto& rule) { rule.entry_size = 0; });
    check("entry size too small", EINVAL, [](auto& rule) { rule.entry_size -= 8; });
    check("entry size too large", EINVAL, [](auto& rule) { rule.entry_size += 8; });
    check("name without NUL", EINVAL, [](auto& rule) { fill_name(rule.name); });
    check("driver without NUL", EINVAL, [](auto& rule) { fill_name(rule.driver); });
    check("partuuid without NUL", EINVAL, [](auto& rule) { fill_name(rule.partuuid); });
    check("partlabel without NUL", EINVAL, [](auto& rule) { fill_name(rule.partlabel); });
    check("wwid without NUL", EINVAL, [](auto& rule) { fill_name(rule.wwid); });
    for (const std::uint64_t address : unmapped_addresses())
        check(fmt::format("entries at {:#x}", address), EFAULT, [&](auto& rule) { rule.entries = address; });
    check("filter's name without NUL", EINVAL, [](auto&) { fill_name(rule_entries[0].name); });
    check("replaced name without NUL", EINVAL, [](auto&) { fill_name(rule_entries[0].replaces); });
    check("flags of an entry", EINVAL, [](auto&) { rule_entries[0].flags = 1; });
    check("4097 bytes of options", EINVAL,
          [](auto&) { rule_entries[0].options_size = BLKFILTER_OPTIONS_MAX + 1; });
    check("options nowhere", EFAULT, [](auto&) { rule_entries[0].options_size = 1; });

    auto id = good_rule_id();
    id.reserved = 1;
    expect("rule remove: reserved", EINVAL, call(BLKFILTER_IOC_RULE_REMOVE, id));
    for (const std::uint32_t number : {0U, all_ones}) {
        id = good_rule_id();
        id.id = number;
        expect(fmt::format("rule remove: {}", number), ENOENT, call(BLKFILTER_IOC_RULE_REMOVE, id));
    }
    // Answers about entries need one rule to be there.
    auto rule = good_rule();
    expect("rule add", 0, call(BLKFILTER_IOC_RULE_ADD, rule));
    check_list("rule list", BLKFILTER_IOC_RULE_LIST, sizeof(blkfilter_rule), 1);
    id = good_rule_id();
    id.id = rule.id;
    expect("rule remove", 0, call(BLKFILTER_IOC_RULE_REMOVE, id));
    expect("rule remove: again", ENOENT, call(BLKFILTER_IOC_RULE_REMOVE, id));
    auto list = good_list(sizeof(blkfilter_rule));
    expect("rule list", 0, call(BLKFILTER_IOC_RULE_LIST, list));
    expect_value("no rule is left", 0, list.count);
}

void check_command() {
    check_devices("command", [](const blkfilter_device& id) {
        auto command = good_command();
        command.device = id;
        return call(BLKFILTER_IOC_COMMAND, command);
    });
    const auto check = [](std::string_view what, int wanted, auto change) {
        auto command = good_command();
        change(command);
        expect(fmt::format("command: {}", what), wanted, call(BLKFILTER_IOC_COMMAND, command));
    };
    check("a disk without filters", ENOENT, [](auto& command) { command.device = other.id; });
    check("name without NUL", ENOENT, [](auto& command) { fill_name(command.name); });
    check("empty name", ENOENT, [](auto& command) { set_name(command.name, ""); });
    check("not attached", ENOENT, [](auto& command) { set_name(command.name, "test2"); });
    check("unknown", ENOTTY, [](auto& command) { command.cmd = all_ones; });
    check("longer than the filter takes", EINVAL, [](auto& command) { command.optlen = 17; });
    check("without end", EINVAL, [](auto& command) { command.optlen = all_ones; });
    for (const std::uint64_t address : unmapped_addresses())
        check(fmt::format("argument at {:#x}", address), EFAULT,
              [&](auto& command) { command.opt = address; });
    check("nothing, nowhere", 0, [](auto& command) { command.opt = command.optlen = 0; });
}

// --- the ioctls of the device node ---

blkfilter_name node_name(std::string_view text) {
    blkfilter_name name{};
    set_name(name.name, text);
    return name;
}

void check_node() {
    for (const unsigned long request : {BLKFILTER_ATTACH, BLKFILTER_DETACH, BLKFILTER_CTL})
        for (const std::uint64_t address : unmapped_addresses())
            expect(fmt::format("node {:#x}: argument at {:#x}", request, address), EFAULT,
                   call(disk.fd, request, pointer_to(address)));
    const auto check = [](std::string_view what, int wanted, unsigned long request, const Disk& on,
                          auto argument) {
        expect(fmt::format("node: {}", what), wanted, call(on.fd, request, &argument));
    };
    blkfilter_name endless{};
    fill_name(endless.name);
    check("attach a name without NUL", ENOENT, BLKFILTER_ATTACH, disk, endless);
    check("attach an empty name", ENOENT, BLKFILTER_ATTACH, disk, node_name(""));
    check("attach what is attached", EALREADY, BLKFILTER_ATTACH, disk, node_name("test0"));
    check("attach what is not known", ENOENT, BLKFILTER_ATTACH, other, node_name("test9"));
    check("detach a name without NUL", EINVAL, BLKFILTER_DETACH, disk, endless);
    check("detach an empty name", EINVAL, BLKFILTER_DETACH, disk, node_name(""));
    check("detach what is not attached", EINVAL, BLKFILTER_DETACH, disk, node_name("test2"));
    check("detach where nothing is", ENOENT, BLKFILTER_DETACH, other, node_name("test0"));

    std::array<std::byte, 16> data{};
    blkfilter_ctl good{};
    set_name(good.name, "test0");
    good.optlen = data.size();
    good.opt = address_of(data.data());
    check("ctl as it is", 0, BLKFILTER_CTL, disk, good);
    check("ctl where nothing is", ENOENT, BLKFILTER_CTL, other, good);
    auto ctl = good;
    fill_name(ctl.name);
    check("ctl of a name without NUL", ENOENT, BLKFILTER_CTL, disk, ctl);
    ctl = good;
    ctl.cmd = 2;
    check("unknown ctl", ENOTTY, BLKFILTER_CTL, disk, ctl);
    ctl = good;
    ctl.optlen = 17;
    check("ctl longer than the filter takes", EINVAL, BLKFILTER_CTL, disk, ctl);
    ctl = good;
    ctl.opt = 0;
    check("ctl argument nowhere", EFAULT, BLKFILTER_CTL, disk, ctl);

    auto* const page = guarded_page();
    std::memcpy(page, &good, sizeof good);
    mprotect(page, page_bytes, PROT_READ);
    expect("node: ctl read-only", EFAULT, call(disk.fd, BLKFILTER_CTL, page));
    expect("node: detach of a read-only name", ENOENT, call(other.fd, BLKFILTER_DETACH, page));
    munmap(page, page_bytes);

    for (const unsigned long request :
         {_IOWR(0x12, 139, blkfilter_name), _IOWR(0x12, 143, blkfilter_name), _IOWR(0x12, 140, blkfilter_ctl),
          _IOW(0x12, 141, blkfilter_name), _IOWR(0x12, 142, blkfilter_name)})
        check(fmt::format("{:#x}", request), ENOTTY, request, disk, node_name("test0"));
}

// --- events ---

int read_error(int fd, void* place, std::size_t bytes) {
    return read(fd, place, bytes) < 0 ? errno : 0;
}

void check_read() {
    std::array<std::byte, 2 * sizeof(blkfilter_event)> place{};
    constexpr std::size_t one = sizeof(blkfilter_event);
    const int events = open("/dev/blkfilter", O_RDWR | O_NONBLOCK | O_CLOEXEC);
    expect("read: no event", EAGAIN, read_error(events, place.data(), place.size()));
    for (const std::size_t bytes : {std::size_t{0}, std::size_t{1}, one - 1})
        expect(fmt::format("read: {} bytes, no event", bytes), EINVAL,
               read_error(events, place.data(), bytes));
    auto point = good_point();
    expect("point", 0, call(BLKFILTER_IOC_POINT, point));
    for (const std::size_t bytes : {std::size_t{0}, std::size_t{1}, one - 1})
        expect(fmt::format("read: {} bytes", bytes), EINVAL, read_error(events, place.data(), bytes));
    for (const std::uint64_t address : foreign_addresses)
        expect(fmt::format("read to {:#x}", address), EFAULT, read_error(events, pointer_to(address), one));
    expect("write", EINVAL, write(events, place.data(), place.size()) < 0 ? errno : 0);
    close(events);

    const int silent = open("/dev/blkfilter", O_WRONLY | O_CLOEXEC);
    expect("read what is open for writing", EBADF, read_error(silent, place.data(), place.size()));
    pollfd poll_for{.fd = silent, .events = POLLIN, .revents = 0};
    expect_value("poll what is open for writing", 1, static_cast<std::uint64_t>(poll(&poll_for, 1, 5000)));
    expect_value("poll what is open for writing", POLLERR, static_cast<std::uint64_t>(poll_for.revents));
    auto version = good_version();
    expect("version of what is open for writing", 0, call(silent, BLKFILTER_IOC_VERSION, &version));
    close(silent);
    expect("mmap", ENODEV,
           mmap(nullptr, page_bytes, PROT_READ, MAP_SHARED, control, 0) == MAP_FAILED ? errno : 0);
}

// --- without the right to ---

void drop_sys_admin() {
    __user_cap_header_struct header{.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
    std::array<__user_cap_data_struct, 2> data{};
    if (syscall(SYS_capget, &header, data.data()))
        stop("capget");
    for (auto* set : {&data[0].effective, &data[0].permitted, &data[0].inheritable})
        *set &= ~(1U << CAP_SYS_ADMIN);
    if (syscall(SYS_capset, &header, data.data()))
        stop("capset");
}

void check_without_right() {
    fflush(stdout);
    const pid_t child = fork();
    if (child) {
        int status = 0;
        waitpid(child, &status, 0);
        expect("without CAP_SYS_ADMIN, see above", 0, status);
        return;
    }
    failures = 0;
    drop_sys_admin();
    for (const int how : {O_RDONLY, O_WRONLY, O_RDWR})
        expect("without CAP_SYS_ADMIN: open", EPERM, open("/dev/blkfilter", how) < 0 ? errno : 0);
    for (const auto& command : commands()) {
        auto argument = command.argument();
        expect(fmt::format("without CAP_SYS_ADMIN: {}", command.name), EPERM,
               call(control, command.request, argument.data()));
        expect(fmt::format("without CAP_SYS_ADMIN: {} of nothing", command.name), EPERM,
               call(control, command.request, nullptr));
    }
    auto name = node_name("test2");
    blkfilter_ctl ctl{};
    set_name(ctl.name, "test0");
    expect("without CAP_SYS_ADMIN: node attach", EPERM, call(disk.fd, BLKFILTER_ATTACH, &name));
    name = node_name("test0");
    expect("without CAP_SYS_ADMIN: node detach", EPERM, call(disk.fd, BLKFILTER_DETACH, &name));
    expect("without CAP_SYS_ADMIN: node ctl", EPERM, call(disk.fd, BLKFILTER_CTL, &ctl));
    expect("without CAP_SYS_ADMIN: node ctl of nothing", EPERM, call(disk.fd, BLKFILTER_CTL, nullptr));
    fflush(stdout);
    _exit(failures != 0);
}

} // namespace

int main(int argc, char** argv) {
    if (argc != 3) {
        fmt::print("usage: bad-input DISK OTHER\n");
        return 2;
    }
    disk = open_disk(argv[1]);
    other = open_disk(argv[2]);
    open_control();

    for (const auto& command : commands()) {
        check_sizes(command);
        check_flags(command);
        check_addresses(command);
    }
    check_unknown_commands();
    check_version();
    check_list("list filters", BLKFILTER_IOC_LIST_FILTERS, sizeof(blkfilter_filter_info), 8);
    check_list("list devices", BLKFILTER_IOC_LIST_DEVICES, sizeof(blkfilter_device_info), 1);
    check_get();
    check_set_arguments();
    check_set_stacks();
    check_point();
    check_rules();
    check_command();
    check_node();
    check_read();
    check_without_right();
    return summary();
}
