// SPDX-License-Identifier: MIT
/// @file
/// How migrations are watched, and cut over by themselves.
#include "live.hpp"

#include "../results.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fmt/format.h>
#include <system_error>

namespace filterd::redirects {

namespace redirect = blkfilter::redirect;
using redirect::State;
using redirect::Status;

namespace {

using Clock = std::chrono::steady_clock;

/// Between two cut-overs that are tried by themselves.
constexpr std::chrono::milliseconds first_pause{1000};
constexpr std::chrono::milliseconds most_pause{60000};

} // namespace

/// With the lock.
void Migrations::begin_watching(const LivePointer& live) {
    try {
        live->watcher = std::thread{[this, live] { watch(live); }};
    } catch (const std::system_error& error) {
        around_.log(FILTERD_ERROR, fmt::format("the redirect of {} is not watched: {}",
                                               live->record.source_name, error.what()));
    }
}

/// On a thread of its own, until it is over or filterd ends.
void Migrations::watch(const LivePointer& live) {
    const auto control = around_.control();
    if (!control)
        return around_.log(FILTERD_ERROR, fmt::format("the redirect of {} is not watched: {}",
                                                      live->record.source_name, control.error().message));
    const Redirection redirection{*control, live->record.source};
    for (;;) {
        try {
            watch_once(live, redirection);
        } catch (const std::exception& error) {
            around_.log(FILTERD_ERROR, fmt::format("{}: {}", live->record.source_name, error.what()));
        }
        std::unique_lock lock{mutex_};
        if (live->ended.wait_for(lock, around_.period, [&] { return live->ends; }))
            return;
    }
}

void Migrations::watch_once(const LivePointer& live, const Redirection& redirection) {
    const auto status = redirection.status();
    // The filter may go only when nobody is harmed by that; what is on a source that was pulled stays old.
    if (!status && (status.error().code == ENODEV || status.error().code == ENOENT))
        return retire(live->record.id, status.error().code == ENODEV && is_cut_over(*live));
    if (!status) {
        if (!std::exchange(live->is_silent, true))
            around_.log(FILTERD_ERROR, fmt::format("{}: nobody says how it is: {}", live->record.source_name,
                                                   status.error().message));
        return;
    }
    live->is_silent = false;
    if (status->id != live->record.id || is_over(status->state)) {
        tell_end(*live, *status);
        return retire(live->record.id, false);
    }
    {
        const std::scoped_lock lock{mutex_};
        live->meter.look(*status);
    }
    if (status->state == State::redirected)
        note_redirected(*live);
    else if (status->state == State::ready && live->record.cuts_over_itself)
        try_cut_over(*live, redirection);
}

bool Migrations::is_cut_over(const Live& live) const {
    const std::scoped_lock lock{mutex_};
    return !live.record.cut_over.empty();
}

/// Another program may have cut it over.
void Migrations::note_redirected(Live& live) {
    Record record;
    {
        const std::scoped_lock lock{mutex_};
        if (!live.record.cut_over.empty())
            return;
        live.record.cut_over = now_as_text();
        record = live.record;
    }
    records_.write(record);
}

void Migrations::try_cut_over(Live& live, const Redirection& redirection) {
    const auto now = Clock::now();
    if (now < live.next_try)
        return;
    std::string trouble;
    try {
        const auto held = cut_over_live(redirection, live, {});
        around_.log(FILTERD_NOTICE, fmt::format("{}: all I/O goes to {}; writes were held for {:.1f} ms",
                                                live.record.source_name, live.record.target,
                                                std::chrono::duration<double, std::milli>{held}.count()));
    } catch (const std::exception& failed) {
        trouble = failed.what();
        live.pause = std::clamp(live.pause * 2, first_pause, most_pause);
        live.next_try = Clock::now() + live.pause;
        around_.log(FILTERD_WARNING,
                    fmt::format("{}; it is tried again in {} s", trouble,
                                std::chrono::ceil<std::chrono::seconds>(live.pause).count()));
    }
    const std::scoped_lock lock{mutex_};
    live.trouble = std::move(trouble);
}

void Migrations::tell_end(const Live& live, const Status& status) const {
    if (status.id == live.record.id && status.state == State::failed)
        around_.log(FILTERD_ERROR,
                    fmt::format("the migration of {} to {} has failed: {}", live.record.source_name,
                                live.record.target, std::strerror(status.error)));
    else
        around_.log(FILTERD_NOTICE, fmt::format("the redirect of {} to {} has ended", live.record.source_name,
                                                live.record.target));
}

} // namespace filterd::redirects
