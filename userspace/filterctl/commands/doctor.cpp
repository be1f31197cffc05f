// SPDX-License-Identifier: MIT
#include "commands/commands.hpp"
#include "doctor/checks.hpp"

#include <algorithm>
#include <fmt/format.h>

namespace filterctl {

namespace {

std::string_view name_of(Verdict verdict) {
    switch (verdict) {
    case Verdict::ok:
        return "ok";
    case Verdict::warning:
        return "warning";
    case Verdict::problem:
        break;
    }
    return "problem";
}

Json json_of(const std::vector<Finding>& findings) {
    auto checks = Json::array();
    for (const auto& finding : findings)
        checks.push_back({{"check", finding.check},
                          {"verdict", name_of(finding.verdict)},
                          {"text", finding.text},
                          {"advice", finding.advice}});
    return {{"checks", std::move(checks)}};
}

std::string findings_view(const Json& document) {
    std::string view;
    for (const auto& check : list_of(document, "checks")) {
        view += fmt::format("{:<8} {:<20} {}\n", text_of(check, "verdict"), text_of(check, "check"),
                            text_of(check, "text"));
        if (const auto advice = text_of(check, "advice"); !advice.empty())
            view += fmt::format("{:<29} -> {}\n", "", advice);
    }
    return view;
}

Result<ExitCode> examine(Session& session) {
    const auto findings = check_all(RealSystem{session.globals().socket});
    session.show(json_of(findings), findings_view);
    session.say("the configuration is looked at by: filterd --check");
    const bool problem = std::ranges::any_of(
        findings, [](const Finding& finding) { return finding.verdict == Verdict::problem; });
    return problem ? ExitCode::failed : ExitCode::done;
}

} // namespace

void add_doctor_command(CommandLine& line) {
    line.add_command(line.app, "doctor", "Look for what keeps filters from working here; needs no filterd",
                     examine);
}

} // namespace filterctl
