// SPDX-License-Identifier: MIT
#include "doctor/checks.hpp"
#include "doctor/system.hpp"

#include <algorithm>
#include <cerrno>
#include <gtest/gtest.h>
#include <map>

namespace filterctl {

namespace {

/// A healthy machine, to be made ill.
class FakeSystem final : public System {
public:
    std::string release = "6.12.90+deb12-amd64";
    std::map<std::string, std::string> files{
        {"/proc/cmdline", "root=/dev/sda1 quiet"},
        {"/proc/modules", "blkfilter 98304 1 blkfilter_cbt, Live 0x0\nblkfilter_cbt 16384 0 - Live 0x0\n"},
        {"/proc/sys/kernel/ftrace_enabled", "1\n"},
        {"/sys/kernel/security/lockdown", "[none] integrity confidentiality\n"},
        {"/sys/module/module/parameters/sig_enforce", "N\n"},
        {"/sys/kernel/tracing/enabled_functions", "submit_bio_noacct_nocheck (1) R I     M \ttramp: "
                                                  "0xffffffffc0 (bf_traced+0x0/0x40 [blkfilter]) ->x\n"},
        {"/sys/kernel/debug/kprobes/list", ""}};
    std::map<std::string, InstalledModule> modules{{"blkfilter", {.file = "/lib/b.ko", .signer = ""}},
                                                   {"blkfilter-cbt", {.file = "/lib/c.ko", .signer = ""}}};
    blkfilter::Result<blkfilter::Version> version =
        blkfilter::Version{.interface = 1, .hook_active = true, .node_ioctls = true};
    Result<RunningDaemon> running = RunningDaemon{.version = "0.1.0"};

    std::string kernel_release() const override { return release; }
    std::expected<std::string, int> read(const std::string& path) const override {
        const auto file = files.find(path);
        if (file == files.end())
            return std::unexpected(ENOENT);
        return file->second;
    }
    std::optional<InstalledModule> module(const std::string& name) const override {
        const auto module = modules.find(name);
        return module == modules.end() ? std::nullopt : std::optional{module->second};
    }
    blkfilter::Result<blkfilter::Version> control() const override { return version; }
    Result<RunningDaemon> daemon() const override { return running; }
};

void expect(const Finding& finding, Verdict verdict, const std::string& text,
            const std::string& advice = "") {
    EXPECT_EQ(finding.verdict, verdict) << finding.check << ": " << finding.text;
    EXPECT_EQ(finding.text, text);
    EXPECT_EQ(finding.advice, advice);
}

TEST(Doctor, a_healthy_machine_has_no_finding_but_ok) {
    const auto findings = check_all(FakeSystem{});
    EXPECT_EQ(findings.size(), 11U);
    for (const auto& finding : findings) {
        EXPECT_EQ(finding.verdict, Verdict::ok) << finding.check << ": " << finding.text;
        EXPECT_EQ(finding.advice, "");
    }
}

TEST(Doctor, knows_the_supported_kernels) {
    FakeSystem system;
    expect(check_kernel(system), Verdict::ok, "6.12.90+deb12-amd64: supported");
    system.release = "6.1.0-30-amd64";
    EXPECT_EQ(check_kernel(system).verdict, Verdict::ok);
    for (const auto* release : {"6.18.1", "6.10.3", "6.13.0", "5.10.0", ""}) {
        system.release = release;
        EXPECT_EQ(check_kernel(system).verdict, Verdict::warning) << release;
    }
}

TEST(Doctor, finds_nofilterd) {
    FakeSystem system;
    system.files["/proc/cmdline"] = "quiet nofilterd\n";
    expect(check_command_line(system), Verdict::warning, "'nofilterd' switches filterd off",
           "boot without it");
    system.files["/proc/cmdline"] = "nofilterd=1";
    EXPECT_EQ(check_command_line(system).verdict, Verdict::warning);
    system.files["/proc/cmdline"] = "xnofilterd nofilterds";
    EXPECT_EQ(check_command_line(system).verdict, Verdict::ok);
}

TEST(Doctor, filterd_need_not_run_where_it_is_switched_off) {
    FakeSystem system;
    system.running = std::unexpected(Failure{.code = "unreachable", .message = "filterd does not run"});
    EXPECT_EQ(check_all(system).back().verdict, Verdict::problem);
    system.files["/proc/cmdline"] = "nofilterd";
    EXPECT_EQ(check_all(system).back().verdict, Verdict::warning);
}

TEST(Doctor, finds_the_function_tracer_missing_or_off) {
    FakeSystem system;
    system.files["/proc/sys/kernel/ftrace_enabled"] = "0\n";
    expect(check_ftrace(system), Verdict::problem, "switched off: kernel.ftrace_enabled is 0",
           "sysctl kernel.ftrace_enabled=1");
    system.files.erase("/proc/sys/kernel/ftrace_enabled");
    EXPECT_EQ(check_ftrace(system).verdict, Verdict::problem);
}

TEST(Doctor, an_unsigned_module_is_a_problem_where_it_would_be_refused) {
    FakeSystem system;
    system.files["/proc/modules"] = "";
    expect(check_lockdown(system), Verdict::ok, "lockdown none; unsigned modules are taken");
    system.files["/sys/kernel/security/lockdown"] = "none [integrity] confidentiality\n";
    expect(check_lockdown(system), Verdict::problem,
           "lockdown integrity; unsigned modules are refused, and blkfilter is not signed",
           "sign the modules with a key that is enrolled (mokutil), or switch Secure Boot off");
    system.modules["blkfilter"].signer = "somebody";
    expect(check_lockdown(system), Verdict::ok, "lockdown integrity; unsigned modules are refused");
}

TEST(Doctor, signatures_may_be_enforced_without_lockdown) {
    FakeSystem system;
    system.files["/proc/modules"] = "";
    system.files.erase("/sys/kernel/security/lockdown");
    system.files["/sys/module/module/parameters/sig_enforce"] = "Y\n";
    EXPECT_EQ(check_lockdown(system).verdict, Verdict::problem);
    system.files["/proc/modules"] = "blkfilter 98304 0 - Live 0x0\n";
    expect(check_lockdown(system), Verdict::ok, "lockdown is not there; unsigned modules are refused");
}

TEST(Doctor, confidentiality_does_not_concern_the_hook) {
    FakeSystem system;
    system.files["/sys/kernel/security/lockdown"] = "none integrity [confidentiality]\n";
    expect(
        check_lockdown(system), Verdict::ok,
        "lockdown confidentiality; unsigned modules are refused; tracefs and its kprobes are closed, which "
        "does not concern blkfilter's own hook");
}

TEST(Doctor, finds_modules_that_are_not_installed) {
    FakeSystem system;
    expect(check_module(system, "blkfilter-cbt", Verdict::warning), Verdict::ok, "/lib/c.ko: loaded");
    system.files["/proc/modules"] = "blkfilter_cbt_more 1 0 - Live 0x0\n";
    expect(check_module(system, "blkfilter-cbt", Verdict::warning), Verdict::ok,
           "/lib/c.ko: not loaded; filterd loads it when it is needed");
    system.modules.clear();
    expect(check_module(system, "blkfilter", Verdict::problem), Verdict::problem,
           "not installed for kernel 6.12.90+deb12-amd64",
           "make -C kernel install KDIR=/lib/modules/6.12.90+deb12-amd64/build; depmod");
    EXPECT_EQ(check_module(system, "acme", Verdict::warning).advice,
              "install it, or build it for this kernel; depmod");
    system.files["/proc/modules"] = "blkfilter 1 0 - Live 0x0\n";
    EXPECT_EQ(check_module(system, "blkfilter", Verdict::problem).verdict, Verdict::warning);
    system.modules["blkfilter"] = {};
    expect(check_module(system, "blkfilter", Verdict::problem), Verdict::ok, "built in");
}

TEST(Doctor, looks_for_the_modules_that_plugins_want) {
    FakeSystem system;
    system.running->modules = {"acme", "blkfilter-cbt"};
    const auto findings = check_all(system);
    EXPECT_EQ(findings.size(), 12U);
    const auto acme = std::ranges::find(findings, "module acme", &Finding::check);
    ASSERT_NE(acme, findings.end());
    EXPECT_EQ(acme->verdict, Verdict::warning);
}

TEST(Doctor, tells_why_the_control_device_does_not_answer) {
    FakeSystem system;
    expect(check_control(system), Verdict::ok, "interface 1, hook active");
    system.version = std::unexpected(blkfilter::Error{.code = ENOENT, .message = "not loaded"});
    expect(check_control(system), Verdict::warning, "not loaded",
           "modprobe blkfilter, which filterd does too; then see the kernel's log");
    system.version = std::unexpected(blkfilter::Error{.code = EACCES, .message = "forbidden"});
    expect(check_control(system), Verdict::warning, "forbidden", "run doctor as root");
    system.version = std::unexpected(blkfilter::Error{.code = EIO, .message = "broken"});
    expect(check_control(system), Verdict::problem, "broken", "see the kernel's log");
}

TEST(Doctor, compares_the_interfaces_version) {
    FakeSystem system;
    system.version->interface = 2;
    expect(check_control(system), Verdict::warning, "interface 2, hook active; this filterctl knows 1",
           "install modules and programs of the same version");
    system.version->interface = 0;
    EXPECT_EQ(check_control(system).verdict, Verdict::problem);
}

TEST(Doctor, finds_who_else_redirects_the_function) {
    FakeSystem system;
    system.version->hook_active = false;
    auto& list = system.files["/sys/kernel/tracing/enabled_functions"];
    list = "vfs_read (1)           \tx\nsubmit_bio_noacct_nocheck (1) R I     M \ttramp: 0x1 (f+0x0/0x1 "
           "[other]) ->x\n";
    expect(check_hook(system), Verdict::problem, "submit_bio_noacct_nocheck is redirected already, by other",
           "unload it: only one can redirect this function");
    list = "submit_bio_noacct_nocheck (2) R I     M \t->ftrace_ops_list_func+0x0/0x1\n";
    expect(check_hook(system), Verdict::problem,
           "submit_bio_noacct_nocheck is redirected already, by a live patch or another product",
           "unload it: only one can redirect this function");
    system.version->hook_active = true;
    EXPECT_EQ(check_hook(system).verdict, Verdict::ok) << "ours, beside a tracer";
}

TEST(Doctor, mentions_who_traces_where_bios_are_submitted) {
    FakeSystem system;
    system.files["/sys/kernel/tracing/enabled_functions"] =
        "submit_bio_noacct_nocheck (1)         \ttramp: 0x1 (function_trace_call+0x0/0x1)\n"
        "submit_bio_noacct (1) R I     M \ttramp: 0x1 (hook+0x0/0x1 [bdevfilter]) (x [bdevfilter])\n";
    expect(check_hook(system), Verdict::warning,
           "also traced: submit_bio_noacct_nocheck; submit_bio_noacct by bdevfilter",
           "tracers do no harm; do not let another product filter the same devices");
}

TEST(Doctor, says_when_it_cannot_look) {
    FakeSystem system;
    system.files.erase("/sys/kernel/tracing/enabled_functions");
    system.files.erase("/sys/kernel/debug/kprobes/list");
    expect(check_hook(system), Verdict::warning,
           "cannot be told: /sys/kernel/tracing/enabled_functions: No such file or directory",
           "mount tracefs and debugfs");
    EXPECT_EQ(check_kprobes(system).verdict, Verdict::warning);
}

TEST(Doctor, mentions_kprobes) {
    FakeSystem system;
    expect(check_kprobes(system), Verdict::ok, "none where bios are submitted");
    system.files["/sys/kernel/debug/kprobes/list"] = "ffffffff81000000  k  vfs_read+0x0    [FTRACE]\n"
                                                     "ffffffff81000010  r  submit_bio+0x0    [FTRACE]\n";
    expect(check_kprobes(system), Verdict::ok, "at submit_bio+0x0: they do no harm");
}

TEST(Doctor, knows_other_products) {
    FakeSystem system;
    system.files["/proc/modules"] = "elastio_snap 1 0 - Live 0x0\nbdevfilter 1 0 - Live 0x0\n";
    const auto finding = check_products(system);
    EXPECT_EQ(finding.verdict, Verdict::warning);
    EXPECT_EQ(finding.text, "loaded: bdevfilter, elastio_snap");
}

TEST(Doctor, a_daemon_that_answers_wrongly_is_a_problem) {
    const Result<RunningDaemon> wrong = std::unexpected(Failure{.code = "failed", .message = "protocol 2"});
    expect(check_daemon(wrong, Verdict::warning), Verdict::problem, "protocol 2", "journalctl -u filterd");
    expect(check_daemon(RunningDaemon{.version = "0.1.0"}, Verdict::problem), Verdict::ok,
           "0.1.0 answers, protocol 1");
}

TEST(RealSystem, looks_at_this_machine) {
    const RealSystem system{"/nonexistent/sock"};
    EXPECT_FALSE(system.kernel_release().empty());
    EXPECT_TRUE(system.read("/proc/cmdline"));
    EXPECT_EQ(system.read("/nonexistent").error(), ENOENT);
    EXPECT_EQ(system.read("/").error(), EISDIR);
    EXPECT_FALSE(system.module("no-such-module"));
    EXPECT_EQ(system.daemon().error().code, "unreachable");
}

} // namespace

} // namespace filterctl
