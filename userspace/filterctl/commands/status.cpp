// SPDX-License-Identifier: MIT
#include "commands/commands.hpp"
#include "output/views.hpp"

namespace filterctl {

void add_status_command(CommandLine& line) {
    line.add_command(
        line.app, "status", "What is on all devices, and whether it is what the files say",
        [](Session& session) { return session.ask_and_show("status", Json::object(), soon, status_view); });
}

} // namespace filterctl
