// SPDX-License-Identifier: MIT
/// @file
/// What doctor finds: each check looks at one thing and says what to do about it.
#pragma once

#include "doctor/system.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace filterctl {

enum class Verdict {
    ok,
    warning, ///< it works, or cannot be told
    problem,
};

struct Finding {
    std::string check; ///< what was looked at, a word or two
    Verdict verdict;
    std::string text;     ///< what was found
    std::string advice{}; ///< what to do; empty when nothing

    bool operator==(const Finding&) const = default;
};

/// Whether blkfilter is known to work with the kernel.
Finding check_kernel(const System& system);

/// Whether the kernel command line switches filterd off.
Finding check_command_line(const System& system);

/// Whether the function tracer, by which bios are intercepted, is there and on.
Finding check_ftrace(const System& system);

/// Whether the kernel takes unsigned modules, and what else lockdown means.
Finding check_lockdown(const System& system);

/// Whether a module is installed for this kernel, and loaded. @p without: what it is when it is neither.
Finding check_module(const System& system, const std::string& name, Verdict without);

/// Whether the control device answers, in an interface that we know.
Finding check_control(const System& system);

/// Whether somebody else redirects the function by which bios are intercepted, or traces it.
Finding check_hook(const System& system);

/// Whether kprobes are set where bios are submitted.
Finding check_kprobes(const System& system);

/// Whether another product that is known to intercept bios is loaded.
Finding check_products(const System& system);

/// Whether filterd answers. @p without: what it is when it does not run.
Finding check_daemon(const Result<RunningDaemon>& daemon, Verdict without);

/// All of them.
std::vector<Finding> check_all(const System& system);

} // namespace filterctl
