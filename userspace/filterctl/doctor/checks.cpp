// SPDX-License-Identifier: MIT
#include "doctor/checks.hpp"

#include "client/client.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <linux/blkfilter-control.h>
#include <ranges>
#include <sstream>
#include <system_error>

namespace filterctl {

namespace {

/// By which blkfilter intercepts bios: only one can redirect it.
constexpr std::string_view hook_function = "submit_bio_noacct_nocheck";
constexpr std::string_view submit_functions = "submit_bio";

constexpr std::string_view trace_list = "/sys/kernel/tracing/enabled_functions";
constexpr std::string_view kprobe_list = "/sys/kernel/debug/kprobes/list";

std::vector<std::string> lines_of(const std::string& text) {
    std::vector<std::string> lines;
    std::istringstream stream{text};
    for (std::string line; std::getline(stream, line);)
        lines.push_back(line);
    return lines;
}

std::vector<std::string> words_of(const std::string& text) {
    std::vector<std::string> words;
    std::istringstream stream{text};
    for (std::string word; stream >> word;)
        words.push_back(word);
    return words;
}

/// A list that only root may read, and that may not be mounted.
Finding not_read(std::string check, std::string_view path, int code) {
    return {.check = std::move(check),
            .verdict = Verdict::warning,
            .text = fmt::format("cannot be told: {}: {}", path, std::generic_category().message(code)),
            .advice = code == ENOENT ? "mount tracefs and debugfs"
                                     : "run doctor as root; lockdown may forbid it even so"};
}

/// The kernel's form of a module's name.
std::string kernel_name(std::string name) {
    std::ranges::replace(name, '-', '_');
    return name;
}

bool is_loaded(const System& system, const std::string& name) {
    const auto modules = system.read("/proc/modules").value_or("");
    return std::ranges::any_of(lines_of(modules), [start = kernel_name(name) + ' '](const std::string& line) {
        return line.starts_with(start);
    });
}

/// The word in brackets of "none [integrity] confidentiality"; empty where there is no lockdown.
std::string lockdown_of(const System& system) {
    const auto text = system.read("/sys/kernel/security/lockdown").value_or("");
    const auto begin = text.find('[');
    const auto end = text.find(']', begin);
    return end == std::string::npos ? "" : text.substr(begin + 1, end - begin - 1);
}

/// A line of the list of traced functions.
struct TracedFunction {
    std::string name;
    bool is_redirected; ///< to other code, of which there can be only one
    std::vector<std::string> modules;
};

/// Reads "FUNCTION (COUNT) R I D O M<tab>tramp: ... (FUNCTION+0x0/0x1 [MODULE])".
TracedFunction traced_of(const std::string& line) {
    const auto flags_begin = std::min(line.find(')'), line.size());
    const auto flags_end = std::min(line.find('\t', flags_begin), line.size());
    const auto flags = std::string_view{line}.substr(flags_begin, flags_end - flags_begin);
    TracedFunction traced{
        .name = line.substr(0, line.find(' ')), .is_redirected = flags.contains('I'), .modules = {}};
    for (auto begin = line.find('[', flags_end); begin != std::string::npos;
         begin = line.find('[', begin + 1)) {
        auto module = line.substr(begin + 1, line.find(']', begin) - begin - 1);
        if (std::ranges::find(traced.modules, module) == traced.modules.end())
            traced.modules.push_back(std::move(module));
    }
    return traced;
}

bool is_ours(const TracedFunction& traced, const System& system) {
    if (std::ranges::find(traced.modules, "blkfilter") != traced.modules.end())
        return true;
    // With several users the list names none of them; but while our hook is there, nobody else's can be.
    const auto control = system.control();
    return control && control->hook_active;
}

Finding missing_module(const System& system, const std::string& name, Verdict without) {
    const auto release = system.kernel_release();
    return {.check = "module " + name,
            .verdict = without,
            .text = fmt::format("not installed for kernel {}", release),
            .advice = name.starts_with("blkfilter")
                          ? fmt::format("make -C kernel install KDIR=/lib/modules/{}/build; depmod", release)
                          : "install it, or build it for this kernel; depmod"};
}

} // namespace

Finding check_kernel(const System& system) {
    constexpr std::array<std::string_view, 2> known{"6.1.", "6.12."};
    const auto release = system.kernel_release();
    if (std::ranges::any_of(known, [&](std::string_view series) { return release.starts_with(series); }))
        return {.check = "kernel", .verdict = Verdict::ok, .text = fmt::format("{}: supported", release)};
    return {.check = "kernel",
            .verdict = Verdict::warning,
            .text = fmt::format("{}: not tested", release),
            .advice = "use a kernel 6.1 or 6.12 of Debian"};
}

Finding check_command_line(const System& system) {
    const auto words = words_of(system.read("/proc/cmdline").value_or(""));
    const bool off = std::ranges::any_of(
        words, [](const std::string& word) { return word == "nofilterd" || word.starts_with("nofilterd="); });
    if (!off)
        return {
            .check = "kernel command line", .verdict = Verdict::ok, .text = "does not switch filterd off"};
    return {.check = "kernel command line",
            .verdict = Verdict::warning,
            .text = "'nofilterd' switches filterd off",
            .advice = "boot without it"};
}

Finding check_ftrace(const System& system) {
    const auto enabled = system.read("/proc/sys/kernel/ftrace_enabled");
    if (!enabled)
        return {.check = "function tracer",
                .verdict = Verdict::problem,
                .text = "this kernel has none",
                .advice = "use a kernel with CONFIG_FUNCTION_TRACER, as Debian's are"};
    if (enabled->starts_with('0'))
        return {.check = "function tracer",
                .verdict = Verdict::problem,
                .text = "switched off: kernel.ftrace_enabled is 0",
                .advice = "sysctl kernel.ftrace_enabled=1"};
    return {.check = "function tracer", .verdict = Verdict::ok, .text = "on"};
}

Finding check_lockdown(const System& system) {
    const auto lockdown = lockdown_of(system);
    const bool locked = !lockdown.empty() && lockdown != "none";
    const bool enforced =
        system.read("/sys/module/module/parameters/sig_enforce").value_or("").starts_with('Y');
    const auto state = fmt::format("lockdown {}", lockdown.empty() ? "is not there" : lockdown);
    if (!locked && !enforced)
        return {.check = "lockdown", .verdict = Verdict::ok, .text = state + "; unsigned modules are taken"};
    const auto core = system.module("blkfilter");
    if (core && core->signer.empty() && !core->file.empty() && !is_loaded(system, "blkfilter"))
        return {.check = "lockdown",
                .verdict = Verdict::problem,
                .text = state + "; unsigned modules are refused, and blkfilter is not signed",
                .advice =
                    "sign the modules with a key that is enrolled (mokutil), or switch Secure Boot off"};
    return {.check = "lockdown",
            .verdict = Verdict::ok,
            .text = state + "; unsigned modules are refused" +
                    (lockdown == "confidentiality"
                         ? "; tracefs and its kprobes are closed, which does not concern blkfilter's own hook"
                         : "")};
}

Finding check_module(const System& system, const std::string& name, Verdict without) {
    const auto installed = system.module(name);
    const bool loaded = is_loaded(system, name);
    if (!installed && !loaded)
        return missing_module(system, name, without);
    if (!installed) {
        auto finding = missing_module(system, name, Verdict::warning);
        finding.text += "; it is loaded, but will not be after the next boot";
        return finding;
    }
    if (installed->file.empty())
        return {.check = "module " + name, .verdict = Verdict::ok, .text = "built in"};
    return {.check = "module " + name,
            .verdict = Verdict::ok,
            .text = fmt::format("{}: {}", installed->file,
                                loaded ? "loaded" : "not loaded; filterd loads it when it is needed")};
}

Finding check_control(const System& system) {
    const auto control = system.control();
    if (!control) {
        const int code = control.error().code;
        const bool missing = code == ENOENT;
        const bool forbidden = code == EACCES || code == EPERM;
        return {.check = "/dev/blkfilter",
                .verdict = missing || forbidden ? Verdict::warning : Verdict::problem,
                .text = control.error().message,
                .advice = missing ? "modprobe blkfilter, which filterd does too; then see the kernel's log"
                          : forbidden ? "run doctor as root"
                                      : "see the kernel's log"};
    }
    const auto version = control->interface;
    const auto text = fmt::format("interface {}, hook {}", version, control->hook_active ? "active" : "idle");
    if (version == BLKFILTER_INTERFACE_VERSION)
        return {.check = "/dev/blkfilter", .verdict = Verdict::ok, .text = text};
    return {.check = "/dev/blkfilter",
            .verdict = version > BLKFILTER_INTERFACE_VERSION ? Verdict::warning : Verdict::problem,
            .text = fmt::format("{}; this filterctl knows {}", text, BLKFILTER_INTERFACE_VERSION),
            .advice = "install modules and programs of the same version"};
}

Finding check_hook(const System& system) {
    const auto list = system.read(std::string{trace_list});
    if (!list)
        return not_read("hook", trace_list, list.error());
    std::vector<std::string> others;
    for (const auto& line : lines_of(*list)) {
        const auto traced = traced_of(line);
        if (!traced.name.starts_with(submit_functions))
            continue;
        const bool ours = traced.name == hook_function && traced.is_redirected && is_ours(traced, system);
        if (traced.name == hook_function && traced.is_redirected && !ours)
            return {.check = "hook",
                    .verdict = Verdict::problem,
                    .text = fmt::format("{} is redirected already, by {}", hook_function,
                                        traced.modules.empty()
                                            ? "a live patch or another product"
                                            : fmt::format("{}", fmt::join(traced.modules, ", "))),
                    .advice = "unload it: only one can redirect this function"};
        if (!ours)
            others.push_back(traced.modules.empty()
                                 ? traced.name
                                 : fmt::format("{} by {}", traced.name, fmt::join(traced.modules, ", ")));
    }
    if (others.empty())
        return {.check = "hook", .verdict = Verdict::ok, .text = "nobody else is where bios are submitted"};
    return {.check = "hook",
            .verdict = Verdict::warning,
            .text = fmt::format("also traced: {}", fmt::join(others, "; ")),
            .advice = "tracers do no harm; do not let another product filter the same devices"};
}

Finding check_kprobes(const System& system) {
    const auto list = system.read(std::string{kprobe_list});
    if (!list)
        return not_read("kprobes", kprobe_list, list.error());
    std::vector<std::string> probes;
    for (const auto& line : lines_of(*list)) {
        // ADDRESS KIND FUNCTION+OFFSET [MODULE] [FLAG]
        constexpr std::size_t place = 2;
        const auto words = words_of(line);
        if (words.size() > place && words[place].starts_with(submit_functions))
            probes.push_back(words[place]);
    }
    return {.check = "kprobes",
            .verdict = Verdict::ok,
            .text = probes.empty() ? "none where bios are submitted"
                                   : fmt::format("at {}: they do no harm", fmt::join(probes, ", "))};
}

Finding check_products(const System& system) {
    constexpr std::array<std::string_view, 7> known{"bdevfilter",   "blk_snap", "blksnap",     "veeamsnap",
                                                    "veeamblksnap", "dattobd",  "elastio_snap"};
    std::vector<std::string_view> loaded;
    std::ranges::copy_if(known, std::back_inserter(loaded),
                         [&](std::string_view name) { return is_loaded(system, std::string{name}); });
    if (loaded.empty())
        return {.check = "other products", .verdict = Verdict::ok, .text = "none that is known is loaded"};
    return {.check = "other products",
            .verdict = Verdict::warning,
            .text = fmt::format("loaded: {}", fmt::join(loaded, ", ")),
            .advice = "do not let them filter the devices that filterd filters: who sees a bio first is not "
                      "defined"};
}

Finding check_daemon(const Result<RunningDaemon>& daemon, Verdict without) {
    if (daemon)
        return {.check = "filterd",
                .verdict = Verdict::ok,
                .text = fmt::format("{} answers, protocol {}", daemon->version, protocol_version)};
    const bool unreachable = daemon.error().code == "unreachable";
    return {.check = "filterd",
            .verdict = unreachable ? without : Verdict::problem,
            .text = daemon.error().message,
            .advice =
                unreachable ? "systemctl start filterd; journalctl -u filterd" : "journalctl -u filterd"};
}

std::vector<Finding> check_all(const System& system) {
    const auto daemon = system.daemon();
    std::vector<Finding> findings{check_kernel(system), check_command_line(system), check_ftrace(system),
                                  check_lockdown(system),
                                  check_module(system, "blkfilter", Verdict::problem)};
    std::vector<std::string> modules{"blkfilter-cbt"};
    if (daemon)
        std::ranges::copy(daemon->modules, std::back_inserter(modules));
    std::ranges::sort(modules);
    modules.erase(std::ranges::unique(modules).begin(), modules.end());
    for (const auto& module : modules)
        findings.push_back(check_module(system, module, Verdict::warning));
    for (const auto check : {check_control, check_hook, check_kprobes, check_products})
        findings.push_back(check(system));
    // Who switches it off knows that it does not run.
    const bool off = findings[1].verdict != Verdict::ok;
    findings.push_back(check_daemon(daemon, off ? Verdict::warning : Verdict::problem));
    return findings;
}

} // namespace filterctl
