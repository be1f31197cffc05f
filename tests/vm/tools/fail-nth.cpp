// SPDX-License-Identifier: MIT
// Every ioctl that changes something, with its first, second, ... allocation failing (/proc/self/fail-nth),
// until none fails any more: each time it must be done or refused, never half.
//
//   fail-nth MAJOR MINOR DISKSEQ      a device without filters; the tests' filters and cbt-only are
//   registered

#include <linux/blkfilter-cbt.h>
#include <linux/blkfilter-control.h>

#include <array>
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <sys/ioctl.h>
#include <unistd.h>
#include <vector>

namespace {

constexpr int most_allocations = 400;

int control = -1;
blkfilter_device device{};

struct Failed {
    bool injected;
    int error; // errno, or 0
};

/// Runs the ioctl with its NTH allocation failing.
Failed with_failure(int nth, unsigned long request, void* argument) {
    // Open all the time: nothing but the ioctl may be between arming and disarming.
    static const int file = open("/proc/self/fail-nth", O_RDWR | O_CLOEXEC);
    const auto number = std::to_string(nth);
    std::array<char, 16> left{};
    if (pwrite(file, number.data(), number.size(), 0) < 0) {
        perror("/proc/self/fail-nth");
        std::exit(1);
    }
    const int result = ioctl(control, request, argument);
    const int error = result < 0 ? errno : 0;
    const auto size = pread(file, left.data(), left.size() - 1, 0);
    if (pwrite(file, "0", 1, 0) < 0)
        std::exit(1);
    return {size <= 0 || std::atoi(left.data()) == 0, error};
}

using Names = std::vector<std::string>;

std::vector<blkfilter_stack_entry> entries_of(const Names& names) {
    std::vector<blkfilter_stack_entry> entries(names.size());
    for (std::size_t i = 0; i < names.size(); ++i) {
        const std::string_view text = names[i];
        const auto at = text.find('@');
        std::memcpy(entries[i].name, text.data(), std::min(at, text.size()));
        if (at != std::string_view::npos)
            entries[i].altitude = std::stoull(names[i].substr(at + 1)) * BLKFILTER_ALTITUDE_UNIT;
    }
    return entries;
}

blkfilter_stack stack_of(std::span<blkfilter_stack_entry> entries) {
    blkfilter_stack stack{};
    stack.size = sizeof(stack);
    stack.device = device;
    stack.entries = reinterpret_cast<std::uintptr_t>(entries.data());
    stack.count = static_cast<__u32>(entries.size());
    stack.entry_size = sizeof(blkfilter_stack_entry);
    stack.limit_ms = 10000;
    return stack;
}

std::string present() {
    std::array<blkfilter_stack_entry, BLKFILTER_STACK_MAX> entries{};
    auto stack = stack_of(entries);
    stack.limit_ms = 0;
    if (ioctl(control, BLKFILTER_IOC_GET_STACK, &stack) < 0) {
        perror("GET_STACK");
        std::exit(1);
    }
    std::string text;
    for (std::size_t i = 0; i < stack.count; ++i)
        text += std::string(reinterpret_cast<const char*>(entries[i].name)) + " ";
    return text;
}

void set(const Names& names) {
    auto entries = entries_of(names);
    auto stack = stack_of(entries);
    if (ioctl(control, BLKFILTER_IOC_SET_STACK, &stack) < 0) {
        perror("SET_STACK");
        std::exit(1);
    }
}

/// Runs a call with one failing allocation after the other; after each, check() tells whether the result
/// fits.
bool each_site(const char* what, const std::function<void()>& before, unsigned long request,
               const std::function<void*()>& argument, const std::function<bool(const Failed&)>& fits) {
    int injected = 0;
    for (int nth = 1; nth <= most_allocations; ++nth) {
        before();
        void* const data = argument();
        const auto failed = with_failure(nth, request, data);
        if (failed.error != 0 && failed.error != ENOMEM) {
            std::printf("%s, allocation %d: %s\n", what, nth, std::strerror(failed.error));
            return false;
        }
        if (!fits(failed)) {
            std::printf("%s, allocation %d: %s, but the stack is: %s\n", what, nth,
                        std::strerror(failed.error), present().c_str());
            return false;
        }
        if (!failed.injected) {
            std::printf("%s: %d allocations failed, one after the other\n", what, injected);
            return injected > 0;
        }
        ++injected;
    }
    std::printf("%s: still allocates after %d failures\n", what, most_allocations);
    return false;
}

bool change(const char* what, const Names& from, const Names& to, const std::string& old_order,
            const std::string& new_order) {
    auto entries = entries_of(to);
    blkfilter_stack stack{};
    return each_site(
        what,
        [&] {
            set({}); // a filter that stays keeps its altitude
            set(from);
        },
        BLKFILTER_IOC_SET_STACK,
        [&]() -> void* {
            stack = stack_of(entries);
            return &stack;
        },
        [&](const Failed& failed) { return present() == (failed.error != 0 ? old_order : new_order); });
}

bool point() {
    blkfilter_point request{};
    return each_site(
        "a point", [] { set({"test1", "test3"}); }, BLKFILTER_IOC_POINT,
        [&]() -> void* {
            request = {};
            request.size = sizeof(request);
            request.id[0] = 1;
            request.close = reinterpret_cast<std::uintptr_t>(&device);
            request.close_count = 1;
            request.limit_ms = 10000;
            return &request;
        },
        [](const Failed&) { return present() == "test3 test1 "; });
}

bool rule() {
    static auto entries = entries_of({"test1"});
    blkfilter_rule request{};
    return each_site(
        "a rule", [] { set({}); }, BLKFILTER_IOC_RULE_ADD,
        [&]() -> void* {
            request = {};
            request.size = sizeof(request);
            request.flags = BLKFILTER_RULE_NAME;
            std::memcpy(request.name, "nothing", 8);
            request.entries = reinterpret_cast<std::uintptr_t>(entries.data());
            request.count = 1;
            request.entry_size = sizeof(blkfilter_stack_entry);
            return &request;
        },
        [&](const Failed& failed) {
            if (failed.error != 0)
                return true;
            blkfilter_rule_id id{sizeof(blkfilter_rule_id), 0, request.id, 0};
            return ioctl(control, BLKFILTER_IOC_RULE_REMOVE, &id) == 0;
        });
}

// --- cbt-only ---

blkfilter_command cbt_request(__u32 number, void* argument, std::size_t bytes) {
    blkfilter_command command{};
    command.size = sizeof(command);
    command.device = device;
    std::memcpy(command.name, BLKFILTER_CBT, sizeof(BLKFILTER_CBT));
    command.cmd = number;
    command.opt = reinterpret_cast<std::uintptr_t>(argument);
    command.optlen = static_cast<__u32>(bytes);
    return command;
}

template <class Argument>
int cbt_command(__u32 number, Argument& argument) {
    argument.size = sizeof(argument);
    auto command = cbt_request(number, &argument, sizeof(argument));
    return ioctl(control, BLKFILTER_IOC_COMMAND, &command) < 0 ? errno : 0;
}

blkfilter_cbt_info cbt_info() {
    blkfilter_cbt_info info{};
    if (cbt_command(BLKFILTER_CBT_INFO, info) != 0) {
        std::puts("cbt-only does not answer");
        std::exit(1);
    }
    return info;
}

/// Runs a command with one failing allocation after the other; it has no effect when it fails.
template <class Argument>
bool cbt_each_site(const char* what, __u32 number, const Argument& good,
                   const std::function<bool(const Failed&)>& fits) {
    Argument argument{};
    blkfilter_command command{};
    return each_site(
        what,
        [] {
            blkfilter_cbt_delete request{};
            std::memcpy(request.name, "fail", 5);
            cbt_command(BLKFILTER_CBT_DELETE, request);
        },
        BLKFILTER_IOC_COMMAND,
        [&]() -> void* {
            argument = good;
            argument.size = sizeof(argument);
            command = cbt_request(number, &argument, sizeof(argument));
            return &command;
        },
        fits);
}

bool cbt() {
    set({"cbt-only"});
    // settle_seconds is 0, but the device is in use.
    while ((cbt_info().flags & BLKFILTER_CBT_SETTLED) == 0)
        usleep(100000);
    blkfilter_cbt_create create{};
    std::memcpy(create.name, "fail", 5);
    create.limit_ms = 10000;
    if (!cbt_each_site("a checkpoint", BLKFILTER_CBT_CREATE, create, [](const Failed& failed) {
            return cbt_info().named == (failed.error == 0 ? 1U : 0U);
        }))
        return false;

    std::array<blkfilter_cbt_checkpoint, 1> checkpoints{};
    blkfilter_cbt_list list{};
    list.entry_size = sizeof(checkpoints[0]);
    list.checkpoints = reinterpret_cast<std::uintptr_t>(checkpoints.data());
    list.count = 1;
    const auto any = [](const Failed&) { return true; };
    if (!cbt_each_site("a list", BLKFILTER_CBT_LIST, list, any))
        return false;

    std::memcpy(create.name, "base", 5);
    if (cbt_command(BLKFILTER_CBT_CREATE, create) != 0)
        return false;
    std::array<blkfilter_cbt_extent, 1> extents{};
    blkfilter_cbt_extents ask{};
    ask.entry_size = sizeof(extents[0]);
    std::memcpy(ask.generation, create.generation, sizeof(ask.generation));
    ask.number = create.number;
    ask.extents = reinterpret_cast<std::uintptr_t>(extents.data());
    ask.count = 1;
    return cbt_each_site("a question", BLKFILTER_CBT_EXTENTS, ask, any);
}

} // namespace

int main(int argc, char** argv) {
    if (argc != 4) {
        std::puts("fail-nth MAJOR MINOR DISKSEQ");
        return 2;
    }
    device.major = static_cast<__u32>(std::strtoul(argv[1], nullptr, 10));
    device.minor = static_cast<__u32>(std::strtoul(argv[2], nullptr, 10));
    device.diskseq = std::strtoull(argv[3], nullptr, 10);
    control = open("/dev/blkfilter", O_WRONLY | O_CLOEXEC);
    if (control < 0) {
        perror("/dev/blkfilter");
        return 1;
    }
    const bool good =
        change("a first attach", {}, {"test1", "test2"}, "", "test2 test1 ") &&
        change("a third filter and another order", {"test1", "test2"}, {"test1@900000", "test2", "test3"},
               "test2 test1 ", "test1 test3 test2 ") &&
        change("one taken out", {"test1", "test2", "test3"}, {"test2"}, "test3 test2 test1 ", "test2 ") &&
        change("the last one", {"test1"}, {}, "test1 ", "") && point() && rule() &&
        change("cbt-only", {}, {"cbt-only"}, "", "cbt-only ") && cbt();
    set({});
    return good ? 0 : 1;
}
