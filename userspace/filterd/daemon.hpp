// SPDX-License-Identifier: MIT
/// @file
/// filterd as a service of systemd.
#pragma once

#include "config/read.hpp"
#include "daemon/desired.hpp"
#include "engine/kernel.hpp"
#include "plugin/managed.hpp"

#include <filesystem>

namespace filterd {

struct DaemonOptions {
    ConfigFiles config{.main = "/etc/filterd/filterd.yaml", .folder = "/etc/filterd/conf.d"};
    std::filesystem::path plugin_folder{};
    std::filesystem::path runtime_folder{"/run/filterd"};
    std::filesystem::path state_folder{"/var/lib/filterd"};
};

/// Until SIGTERM or SIGINT: the filters stay as they are. Tells systemd when all devices are as declared, or
/// after a minute, and that it lives. Errors: std::system_error.
void run_daemon(const DaemonOptions& options);

} // namespace filterd
