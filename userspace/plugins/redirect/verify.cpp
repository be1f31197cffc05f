// SPDX-License-Identifier: MIT
#include "verify.hpp"

#include "../results.hpp"

#include <algorithm>
#include <cerrno>
#include <fmt/format.h>
#include <sstream>
#include <thread>

namespace filterd::redirects {

using blkfilter::sector_bytes;

namespace {

using namespace std::chrono_literals;

/// So much is compared at a time, so that progress is seen.
constexpr std::uint64_t sectors_at_a_time = (64ULL << 20) / sector_bytes;
/// Whoever asks calls again after this.
constexpr std::chrono::minutes most_of_a_call{50};
constexpr int times_asked_again = 3;
constexpr std::chrono::milliseconds pause = 100ms;

/// The region of a difference still differs when it is read again. What was written to it meanwhile is
/// copied, and no difference.
bool still_differs(const Redirection& redirection, std::uint64_t sector) {
    for (int i = 0; i < times_asked_again; ++i) {
        std::this_thread::sleep_for(pause);
        if (!value_of(redirection.verify(sector, 1)).different)
            return false;
    }
    return true;
}

void note_difference(const Redirection& redirection, std::uint64_t sector, Findings& findings) {
    if (!still_differs(redirection, sector)) {
        ++findings.asked_again;
        return;
    }
    if (findings.different++ == 0)
        findings.first = sector * sector_bytes;
}

} // namespace

std::string Findings::to_string() const {
    return fmt::format("{} {} {} {} {} {}", sector, compared_bytes, skipped_bytes, asked_again, different,
                       first);
}

Findings Findings::parse(const std::string& text) {
    Findings findings;
    std::istringstream words{text};
    words >> findings.sector >> findings.compared_bytes >> findings.skipped_bytes >> findings.asked_again >>
        findings.different >> findings.first;
    if (!words || !words.eof())
        throw Failure{EINVAL, fmt::format("'{}' is no cursor of this command", text)};
    return findings;
}

bool compare(const Redirection& redirection, const blkfilter::redirect::Status& status, Findings& findings,
             std::chrono::milliseconds limit,
             const std::function<void(std::uint32_t, const std::string&)>& progress) {
    const auto end = status.range.sectors;
    const auto until = std::chrono::steady_clock::now() + limit;
    while (findings.sector < end) {
        if (std::chrono::steady_clock::now() >= until)
            return false;
        const auto found =
            value_of(redirection.verify(findings.sector, std::min(sectors_at_a_time, end - findings.sector)));
        if (found.different)
            note_difference(redirection, *found.different, findings);
        if (found.next_sector <= findings.sector)
            throw Failure{EPROTO, "the filter does not come forward with its comparison"};
        findings.sector = found.next_sector;
        findings.compared_bytes += found.compared_bytes;
        findings.skipped_bytes += found.skipped_bytes;
        progress(static_cast<std::uint32_t>(static_cast<double>(findings.sector) / static_cast<double>(end) *
                                            1000),
                 fmt::format("{} compared", bytes_text(findings.compared_bytes)));
    }
    return true;
}

void answer_verify(Call& call, const Redirection& redirection) {
    const auto cursor = call.cursor();
    auto findings = cursor ? Findings::parse(*cursor) : Findings{};
    const auto status = value_of(redirection.status());
    if (status.id.is_null())
        throw Failure{ENOENT, fmt::format("{}: nothing was started", call.device())};
    const auto progress = [&](std::uint32_t thousandths, const std::string& text) {
        call.progress(thousandths, text);
    };
    if (!compare(redirection, status, findings, most_of_a_call, progress))
        return call.more(findings.to_string());
    if (findings.different != 0)
        throw Failure{EIO,
                      fmt::format("{}: source and target differ in {} regions, the first at byte {}; {} were "
                                  "compared",
                                  call.device(), findings.different, findings.first,
                                  bytes_text(findings.compared_bytes))};
    call.answer(filterd::Record{}
                    .add("result", "equal")
                    .add("compared_bytes", findings.compared_bytes)
                    .add("skipped_bytes", findings.skipped_bytes)
                    .add("asked_again", findings.asked_again));
}

} // namespace filterd::redirects
