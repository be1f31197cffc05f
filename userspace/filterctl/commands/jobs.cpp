// SPDX-License-Identifier: MIT
#include "client/progress.hpp"
#include "commands/arguments.hpp"
#include "commands/commands.hpp"
#include "output/records.hpp"
#include "output/views.hpp"

#include <blkfilter-common/quantity.hpp>

#include <fmt/format.h>
#include <memory>

namespace filterctl {

namespace {

const std::vector<std::string> columns{"job", "what", "state", "done", "text", "started", "ended"};

/// A job as people read it: how far it is in percent, and the text of what failed.
Json readable(Json job) {
    if (!job.is_object())
        return Json::object();
    job["done"] = percent_of(number_of(job, "thousandths"));
    if (const auto why = text_of(member(job, "error"), "message"); !why.empty())
        job["text"] = why;
    job.erase("thousandths");
    job.erase("error");
    return job;
}

std::string jobs_view(const Json& reply) {
    auto jobs = Json::array();
    for (const auto& job : list_of(reply, "jobs"))
        jobs.push_back(readable(job));
    return table_of(jobs, columns);
}

/// A result that is a plan stands below, as the command itself shows it.
std::string job_view(const Json& reply) {
    auto job = readable(reply);
    const auto result = member(job, "result");
    if (member(result, "plan").is_array())
        job.erase("result");
    return lines_of(job, columns) + plan_view(result);
}

Json params_of(const std::string& job) {
    return {{"job", blkfilter::common::parse_decimal(job).value_or(0)}};
}

/// Ends as the job has ended.
Result<ExitCode> wait(Session& session, const std::string& job) {
    auto params = params_of(job);
    params["wait"] = true;
    const auto reply = session.ask("job-show", params, for_ever);
    if (!reply)
        return std::unexpected(reply.error());
    session.show(*reply, job_view);
    if (const auto& error = member(*reply, "error"); error.is_object())
        return std::unexpected(failure_of(error));
    if (text_of(*reply, "state") == "failed")
        return fail("failed", fmt::format("job {} failed", job));
    return ExitCode::done;
}

} // namespace

void add_job_commands(CommandLine& line) {
    const auto job = std::make_shared<std::string>();
    auto* noun = line.add_noun("job", "What filterd works on, or has worked on");
    line.add_command(noun, "list", "All jobs", [](Session& session) {
        return session.ask_and_show("jobs", Json::object(), soon, jobs_view);
    });
    auto* show_command =
        line.add_command(noun, "show", "One of them, with its result", [=](Session& session) {
            return session.ask_and_show("job-show", params_of(*job), soon, job_view);
        });
    auto* wait_command = line.add_command(noun, "wait", "Wait until it has ended, and end as it has",
                                          [=](Session& session) { return wait(session, *job); });
    for (auto* command : {show_command, wait_command})
        line.add_argument(command, "ID", *job, "Of the job", Hint::Kind::job)->check(number_complaint);
}

} // namespace filterctl
