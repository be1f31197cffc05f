// SPDX-License-Identifier: MIT
#include "control/jobs.hpp"

#include "control/protocol.hpp"

#include <algorithm>
#include <cerrno>
#include <fmt/chrono.h>
#include <fmt/format.h>

namespace filterd::control {

using blkfilter::Error;
using blkfilter::Result;
using nlohmann::json;

namespace {

constexpr std::size_t most_ended = 100;

} // namespace

std::string to_text(std::chrono::system_clock::time_point time) {
    return fmt::format("{:%FT%TZ}", std::chrono::floor<std::chrono::seconds>(time));
}

std::uint64_t Jobs::begin(std::string what) {
    if (jobs_.size() > most_ended)
        if (const auto old =
                std::ranges::find_if(jobs_, [](const auto& job) { return job.second.ended.has_value(); });
            old != jobs_.end())
            jobs_.erase(old);
    jobs_.emplace(++last_, Job{.what = std::move(what), .started = std::chrono::system_clock::now()});
    return last_;
}

void Jobs::progress(std::uint64_t job, std::uint32_t thousandths, std::string text) {
    if (const auto found = jobs_.find(job); found != jobs_.end()) {
        found->second.thousandths = thousandths;
        found->second.text = std::move(text);
    }
}

void Jobs::end(std::uint64_t job, Result<json> result) {
    const auto found = jobs_.find(job);
    if (found == jobs_.end())
        return;
    found->second.ended = std::chrono::system_clock::now();
    if (result)
        found->second.thousandths = 1000;
    found->second.result = std::move(result);
    for (const auto& ended : std::exchange(found->second.waiting, {}))
        ended();
}

json Jobs::describe(std::uint64_t number, const Job& job) {
    const auto* state = !job.result ? "running" : *job.result ? "done" : "failed";
    return {{"job", number},
            {"what", job.what},
            {"state", state},
            {"thousandths", job.thousandths},
            {"text", job.text},
            {"started", to_text(job.started)},
            {"ended", job.ended ? json(to_text(*job.ended)) : json{}}};
}

json Jobs::list() const {
    auto all = json::array();
    for (const auto& [number, job] : jobs_)
        all.push_back(describe(number, job));
    return all;
}

Result<json> Jobs::show(std::uint64_t number) const {
    const auto found = jobs_.find(number);
    if (found == jobs_.end())
        return std::unexpected(Error{
            .code = ENOENT, .message = fmt::format("there is no job {}: see filterctl job list", number)});
    auto shown = describe(number, found->second);
    const auto& result = found->second.result;
    if (result && *result)
        shown["result"] = **result;
    else if (result)
        shown["error"] = {{"code", code_of(result->error().code)}, {"message", result->error().message}};
    return shown;
}

void Jobs::when_ended(std::uint64_t job, Ended ended) {
    const auto found = jobs_.find(job);
    if (found == jobs_.end() || found->second.result)
        ended();
    else
        found->second.waiting.push_back(std::move(ended));
}

} // namespace filterd::control
