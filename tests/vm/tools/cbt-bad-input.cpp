// SPDX-License-Identifier: MIT
/// @file
/// cbt-bad-input DISK: gives cbt-only, which is attached to DISK with blocks of 4096 bytes, commands that it
/// must refuse, and the limits of what it must accept; prints each case whose errno is not the documented
/// one.

#include "cases.hpp"

#include <array>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <fcntl.h>
#include <fmt/format.h>
#include <functional>
#include <linux/blkfilter-cbt.h>
#include <string>
#include <string_view>
#include <sys/mman.h>
#include <vector>

namespace {

using namespace checks;

constexpr std::uint64_t block_sectors = 8;

Disk disk;

/// The filter's command with @p optlen bytes at @p opt.
int send(std::uint32_t number, std::uint64_t opt, std::uint32_t optlen) {
    blkfilter_command command{};
    command.size = sizeof command;
    command.device = disk.id;
    set_name(command.name, BLKFILTER_CBT);
    command.cmd = number;
    command.opt = opt;
    command.optlen = optlen;
    return call(BLKFILTER_IOC_COMMAND, command);
}

template <class T>
int send(std::uint32_t number, T& argument) {
    argument.size = sizeof argument;
    return send(number, address_of(&argument), sizeof argument);
}

// --- arguments that are right ---

blkfilter_cbt_info info() {
    blkfilter_cbt_info info{};
    if (const int code = send(BLKFILTER_CBT_INFO, info); code) {
        errno = code;
        stop("info");
    }
    return info;
}

blkfilter_cbt_create named(std::string_view name) {
    blkfilter_cbt_create create{};
    set_name(create.name, name);
    create.limit_ms = 20000;
    return create;
}

int create(std::string_view name) {
    auto argument = named(name);
    return send(BLKFILTER_CBT_CREATE, argument);
}

int drop(std::string_view name) {
    blkfilter_cbt_delete argument{};
    set_name(argument.name, name);
    return send(BLKFILTER_CBT_DELETE, argument);
}

std::array<blkfilter_cbt_checkpoint, 64> checkpoints;
std::array<blkfilter_cbt_extent, 64> extents;
std::array<blkfilter_cbt_range, 4> ranges;
std::uint64_t base; ///< number of the checkpoint that is there all the time

blkfilter_cbt_list good_list() {
    blkfilter_cbt_list list{};
    list.entry_size = sizeof(blkfilter_cbt_checkpoint);
    list.checkpoints = address_of(checkpoints.data());
    list.count = checkpoints.size();
    return list;
}

blkfilter_cbt_extents good_extents() {
    blkfilter_cbt_extents ask{};
    ask.entry_size = sizeof(blkfilter_cbt_extent);
    const auto now = info();
    std::memcpy(ask.generation, now.generation, sizeof ask.generation);
    ask.number = base;
    ask.extents = address_of(extents.data());
    ask.count = extents.size();
    return ask;
}

blkfilter_cbt_dirty good_dirty() {
    ranges[0] = {.sector = 0, .sectors = 1};
    blkfilter_cbt_dirty dirty{};
    dirty.entry_size = sizeof(blkfilter_cbt_range);
    dirty.ranges = address_of(ranges.data());
    dirty.count = 1;
    return dirty;
}

std::uint32_t changed() {
    auto ask = good_extents();
    expect("extents as it is", 0, send(BLKFILTER_CBT_EXTENTS, ask));
    return ask.count;
}

// --- what holds for every command ---

struct Command {
    std::string_view name;
    std::uint32_t number;
    std::function<Bytes()> argument;
    int result; ///< of the argument as it is
};

std::vector<Command> commands() {
    blkfilter_cbt_delete nothing{};
    set_name(nothing.name, "nothing");
    // "base" is there: nothing is created.
    return {{"info", BLKFILTER_CBT_INFO, [] { return bytes_of(blkfilter_cbt_info{}); }, 0},
            {"create", BLKFILTER_CBT_CREATE, [] { return bytes_of(named("base")); }, EEXIST},
            {"list", BLKFILTER_CBT_LIST, [] { return bytes_of(good_list()); }, 0},
            {"delete", BLKFILTER_CBT_DELETE, [=] { return bytes_of(nothing); }, ENOENT},
            {"extents", BLKFILTER_CBT_EXTENTS, [] { return bytes_of(good_extents()); }, 0},
            {"dirty", BLKFILTER_CBT_DIRTY, [] { return bytes_of(good_dirty()); }, 0}};
}

void check_sizes(const Command& command) {
    const auto bytes = static_cast<std::uint32_t>(command.argument().size());
    const auto check = [&](std::uint32_t size, std::uint32_t optlen, std::size_t not_zero_at, int wanted) {
        auto argument = command.argument();
        argument.resize(2 * page_bytes);
        put(argument, 0, size);
        if (not_zero_at)
            argument[not_zero_at] = std::byte{1};
        expect(fmt::format("{}: says {} of {} bytes", command.name, size, optlen), wanted,
               send(command.number, address_of(argument.data()), optlen));
    };
    check(bytes, bytes, 0, command.result);
    check(bytes, bytes + 8, 0, command.result);
    for (const std::uint32_t size : {0U, 1U, 4U, bytes - 1})
        check(size, bytes, 0, EINVAL);
    for (const std::uint32_t optlen : {0U, 1U, 3U, 4U, bytes - 1})
        check(bytes, optlen, 0, EINVAL);
    check(bytes + 8, bytes + 8, 0, command.result);
    check(bytes + 8, bytes + 8, bytes + 7, E2BIG);
    check(bytes + 8, bytes, 0, EINVAL);
    check(page_bytes, page_bytes, 0, command.result);
    for (const std::uint32_t size : {4097U, 1U << 31, all_ones})
        check(size, 2 * page_bytes, 0, E2BIG);
}

void check_addresses(const Command& command) {
    const auto good = command.argument();
    for (const auto address : unmapped_addresses())
        expect(fmt::format("{}: argument at {:#x}", command.name, address), EFAULT,
               send(command.number, address, static_cast<std::uint32_t>(good.size())));
}

// --- each command's own ---

void check_create() {
    const std::string longest(BLKFILTER_CBT_NAME_LENGTH - 1, 'x');
    for (const std::string_view name : {"", " ", "a b", "a\n", "a\t", "\x7f", "\x80", "na\xc3\xafve"})
        expect(fmt::format("create '{}'", name), EINVAL, create(name));
    auto endless = named("");
    fill_name(endless.name);
    expect("create: a name without NUL", EINVAL, send(BLKFILTER_CBT_CREATE, endless));
    expect("create: the longest name", 0, create(longest));
    expect("create: the same again", EEXIST, create(longest));
    expect("delete: the longest name", 0, drop(longest));
    expect("delete: the same again", ENOENT, drop(longest));
    auto of_point = named("of-point");
    of_point.id[0] = 77;
    expect("create: of a point that never was", ENOENT, send(BLKFILTER_CBT_CREATE, of_point));
    auto patient = named("patient");
    patient.limit_ms = all_ones;
    expect("create: the longest limit", 0, send(BLKFILTER_CBT_CREATE, patient));
    expect("delete: patient", 0, drop("patient"));
}

void check_delete() {
    blkfilter_cbt_delete argument{};
    fill_name(argument.name);
    expect("delete: a name without NUL", EINVAL, send(BLKFILTER_CBT_DELETE, argument));
    expect("delete: no name, as unnamed ones have", ENOENT, drop(""));
    set_name(argument.name, "base");
    argument.flags = 1;
    expect("delete: a flag", EINVAL, send(BLKFILTER_CBT_DELETE, argument));
}

void check_list() {
    const auto check = [](std::string_view what, int wanted, auto change) {
        auto list = good_list();
        change(list);
        const int code = send(BLKFILTER_CBT_LIST, list);
        expect(fmt::format("list: {}", what), wanted, code);
        if (!code)
            expect_value(fmt::format("list: {}: entries", what), 2, list.count);
    };
    check("as it is", 0, [](auto&) {});
    check("a flag", EINVAL, [](auto& list) { list.flags = 1; });
    for (const std::uint32_t size : {0U, 95U, 104U, all_ones})
        check("entry size", EINVAL, [=](auto& list) { list.entry_size = size; });
    check("room for none, nowhere", 0, [](auto& list) { list.count = 0, list.checkpoints = 0; });
    check("room without end", 0, [](auto& list) { list.count = all_ones; });
    for (const auto address : unmapped_addresses())
        check(fmt::format("entries at {:#x}", address), EFAULT,
              [&](auto& list) { list.checkpoints = address; });
    checkpoints[1].number = 0x55;
    check("room for one", 0, [](auto& list) { list.count = 1; });
    expect_value("list: behind the last", 0x55, checkpoints[1].number);
}

void check_extents(std::uint64_t end) {
    const auto check = [](std::string_view what, int wanted, auto change) {
        auto ask = good_extents();
        change(ask);
        expect(fmt::format("extents: {}", what), wanted, send(BLKFILTER_CBT_EXTENTS, ask));
        return ask;
    };
    check("a flag", EINVAL, [](auto& ask) { ask.flags = 1; });
    check("no room", EINVAL, [](auto& ask) { ask.count = 0; });
    for (const std::uint32_t size : {0U, 16U, 32U, all_ones})
        check("entry size", EINVAL, [=](auto& ask) { ask.entry_size = size; });
    check("no generation", ESTALE, [](auto& ask) { std::memset(ask.generation, 0, sizeof ask.generation); });
    check("another generation", ESTALE, [](auto& ask) { ask.generation[15] ^= 1; });
    check("number 0", ENOENT, [](auto& ask) { ask.number = 0; });
    check("a number to come", ENOENT, [](auto& ask) { ask.number = info().number; });
    check("a number that never comes", EINVAL, [](auto& ask) { ask.number = base + (1ULL << 32); });
    for (const auto address : unmapped_addresses())
        check(fmt::format("extents at {:#x}", address), EFAULT, [&](auto& ask) { ask.extents = address; });
    for (const std::uint64_t sector : {end, end + 1, ~std::uint64_t{0}}) {
        const auto ask = check("from the end", 0, [&](auto& asked) { asked.sector = sector; });
        expect_value("extents from the end: how many", 0, ask.count);
        expect_value("extents from the end: where to go on", end, ask.sector);
    }
    std::uint64_t sector = 0;
    for (const std::uint64_t block : {0, 2, 4}) {
        const auto ask =
            check("one at a time", 0, [&](auto& asked) { asked.sector = sector, asked.count = 1; });
        expect_value("one at a time: how many", 1, ask.count);
        expect_value("one at a time: where", block * block_sectors, extents[0].sector);
        expect_value("one at a time: sectors", block_sectors, extents[0].sectors);
        sector = ask.sector;
    }
    // Of an extent that is asked for from within, the rest.
    const auto ask =
        check("from within a block", 0, [](auto& asked) { asked.sector = 2 * block_sectors + 3; });
    expect_value("from within a block: how many", 2, ask.count);
    expect_value("from within a block: where", 2 * block_sectors, extents[0].sector);
}

void check_dirty(std::uint64_t end) {
    const auto before = changed();
    const auto check = [](std::string_view what, int wanted, auto change) {
        auto dirty = good_dirty();
        change(dirty);
        expect(fmt::format("dirty: {}", what), wanted, send(BLKFILTER_CBT_DIRTY, dirty));
    };
    check("a flag", EINVAL, [](auto& dirty) { dirty.flags = 1; });
    check("none", EINVAL, [](auto& dirty) { dirty.count = 0; });
    check("too many", EINVAL, [](auto& dirty) { dirty.count = 65537; });
    for (const std::uint32_t size : {0U, 8U, 24U, all_ones})
        check("entry size", EINVAL, [=](auto& dirty) { dirty.entry_size = size; });
    for (const auto address : unmapped_addresses())
        check(fmt::format("ranges at {:#x}", address), EFAULT, [&](auto& dirty) { dirty.ranges = address; });
    for (const blkfilter_cbt_range wrong : {blkfilter_cbt_range{.sector = 100, .sectors = 0},
                                            {.sector = end, .sectors = 1},
                                            {.sector = 0, .sectors = end + 1},
                                            {.sector = end - 1, .sectors = 2},
                                            {.sector = ~0ULL, .sectors = 2},
                                            {.sector = 1, .sectors = ~0ULL}}) {
        check(fmt::format("{}+{} behind a good one", wrong.sector, wrong.sectors), EINVAL, [&](auto& dirty) {
            ranges[0] = {.sector = end - 1, .sectors = 1};
            ranges[1] = wrong;
            dirty.count = 2;
        });
    }
    expect_value("dirty: marked by what was refused", before, changed());
    check("the last sector", 0, [&](auto&) { ranges[0] = {.sector = end - 1, .sectors = 1}; });
    expect_value("dirty: the last sector", before + 1, changed());
}

} // namespace

int main(int argc, char** argv) {
    if (argc != 2) {
        fmt::print("usage: cbt-bad-input DISK\n");
        return 2;
    }
    disk = open_disk(argv[1]);
    open_control();
    const auto end = info().sectors;

    auto first = named("base");
    expect("create", 0, send(BLKFILTER_CBT_CREATE, first));
    base = first.number;
    expect("create another", 0, create("another"));
    auto dirty = good_dirty();
    ranges = {{{.sector = 0, .sectors = 1},
               {.sector = 2 * block_sectors, .sectors = 1},
               {.sector = 4 * block_sectors, .sectors = 1}}};
    dirty.count = 3;
    expect("dirty", 0, send(BLKFILTER_CBT_DIRTY, dirty));
    for (const auto& command : commands()) {
        check_sizes(command);
        check_addresses(command);
    }
    for (const std::uint32_t number : {6U, 100U, all_ones})
        expect(fmt::format("command {}", number), ENOTTY, send(number, address_of(&dirty), sizeof dirty));
    check_create();
    check_delete();
    check_list();
    check_extents(end);
    check_dirty(end);
    expect("delete another", 0, drop("another"));
    expect("delete base", 0, drop("base"));
    return summary();
}
