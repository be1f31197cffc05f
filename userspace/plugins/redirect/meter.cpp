// SPDX-License-Identifier: MIT
#include "meter.hpp"

#include <algorithm>
#include <array>
#include <fmt/format.h>

namespace filterd::redirects {

using blkfilter::redirect::State;
using blkfilter::redirect::Status;

namespace {

using namespace std::chrono_literals;

constexpr std::chrono::nanoseconds window = 30s;
/// For less than this nobody knows.
constexpr std::chrono::nanoseconds least_seen = 3s;
/// What is left becomes less by a part of what is copied; by less than this part of it it would take for
/// ever.
constexpr std::uint64_t least_gain_part = 100;

double seconds_of(std::chrono::nanoseconds time) {
    return std::chrono::duration<double>{time}.count();
}

} // namespace

std::string_view to_string(Outlook::Kind kind) {
    constexpr std::array<std::string_view, 5> words{"unknown", "in sync", "converges", "does not converge",
                                                    "stalls"};
    return words.at(static_cast<std::size_t>(kind));
}

bool is_copying(State state) {
    return state == State::running || state == State::ready || state == State::pending;
}

void Meter::look(const Status& status) {
    // A pause is no measure of what comes after it.
    if (!is_copying(status.state) || status.total_bytes == 0)
        return samples_.clear();
    samples_.push_back({.time = status.time,
                        .remaining_bytes = status.remaining_bytes,
                        .copied_bytes = status.copied_bytes});
    while (samples_.size() > 2 && status.time - samples_[1].time >= window)
        samples_.pop_front();
}

Outlook Meter::outlook() const {
    if (samples_.empty())
        return {};
    const auto& first = samples_.front();
    const auto& last = samples_.back();
    const auto seen = last.time - first.time;
    const auto copied = last.copied_bytes - first.copied_bytes;
    Outlook outlook;
    if (seen > 0ns)
        outlook.bytes_per_second = static_cast<std::uint64_t>(static_cast<double>(copied) / seconds_of(seen));
    if (last.remaining_bytes == 0) {
        outlook.kind = Outlook::Kind::in_sync;
        return outlook;
    }
    if (seen < least_seen)
        return outlook;
    const auto gained =
        first.remaining_bytes > last.remaining_bytes ? first.remaining_bytes - last.remaining_bytes : 0;
    if (copied == 0 && gained == 0) {
        outlook.kind = Outlook::Kind::stalls;
    } else if (gained <= copied / least_gain_part) {
        outlook.kind = Outlook::Kind::diverges;
    } else {
        outlook.kind = Outlook::Kind::converges;
        const auto left =
            seconds_of(seen) * static_cast<double>(last.remaining_bytes) / static_cast<double>(gained);
        outlook.left = std::chrono::ceil<std::chrono::seconds>(std::chrono::duration<double>{left});
    }
    return outlook;
}

// --- for people ---

std::string bytes_text(std::uint64_t bytes) {
    constexpr std::array<const char*, 5> units{"B", "KiB", "MiB", "GiB", "TiB"};
    constexpr double step = 1024;
    auto value = static_cast<double>(bytes);
    std::size_t unit = 0;
    for (; value >= step && unit + 1 < units.size(); ++unit)
        value /= step;
    return unit == 0 ? fmt::format("{} B", bytes) : fmt::format("{:.1f} {}", value, units.at(unit));
}

std::string time_text(std::chrono::seconds time) {
    const auto hours = std::chrono::floor<std::chrono::hours>(time);
    const auto minutes = std::chrono::floor<std::chrono::minutes>(time - hours);
    const auto seconds = time - hours - minutes;
    if (hours.count() > 0)
        return fmt::format("{}h {:02}m", hours.count(), minutes.count());
    if (minutes.count() > 0)
        return fmt::format("{}m {:02}s", minutes.count(), seconds.count());
    return fmt::format("{}s", seconds.count());
}

std::uint32_t thousandths_of(const Status& status) {
    constexpr std::uint32_t all = 1000;
    if (status.total_bytes == 0)
        return status.state == State::redirected ? all : 0;
    const auto done = status.total_bytes - std::min(status.remaining_bytes, status.total_bytes);
    return static_cast<std::uint32_t>(static_cast<double>(done) / static_cast<double>(status.total_bytes) *
                                      all);
}

std::string progress_text(const Status& status, const Outlook& outlook) {
    if (status.total_bytes == 0 || !is_copying(status.state))
        return std::string{to_string(status.state)};
    const auto done = status.total_bytes - std::min(status.remaining_bytes, status.total_bytes);
    auto text = fmt::format("{} of {}, {}/s", bytes_text(done), bytes_text(status.total_bytes),
                            bytes_text(outlook.bytes_per_second));
    if (outlook.left)
        text += fmt::format(", {} left", time_text(*outlook.left));
    else if (outlook.kind != Outlook::Kind::unknown)
        text += fmt::format(", {}", to_string(outlook.kind));
    return text;
}

} // namespace filterd::redirects
