// SPDX-License-Identifier: MIT
#include "live.hpp"

#include "../results.hpp"

#include <algorithm>
#include <cerrno>
#include <fmt/format.h>
#include <utility>

namespace filterd::redirects {

namespace redirect = blkfilter::redirect;
using redirect::State;
using redirect::Status;

Migrations::Migrations(Surroundings surroundings)
    : around_{std::move(surroundings)}, records_{around_.state_folder} {}

Migrations::~Migrations() {
    {
        const std::scoped_lock lock{mutex_};
        for (const auto& [id, live] : live_)
            end_watching(live);
    }
    retired_.join();
}

// --- the table ---

Migrations::LivePointer Migrations::live_of(const Uuid& id) const {
    const std::scoped_lock lock{mutex_};
    const auto found = live_.find(id);
    return found == live_.end() ? nullptr : found->second;
}

/// That the device was cut over in an earlier boot, and nobody has said since that this is known.
std::optional<Record> Migrations::old_of(const Source& source) const {
    const auto names = lasting_names(source.name, around_.roots);
    const std::scoped_lock lock{mutex_};
    const auto found =
        std::ranges::find_if(old_, [&](const Record& record) { return record.is_of(source.name, names); });
    return found == old_.end() ? std::nullopt : std::optional{*found};
}

/// Takes one off the table. May come twice.
void Migrations::retire(const Uuid& id, bool keeps_record) {
    const std::scoped_lock lock{mutex_};
    const auto found = live_.find(id);
    if (found == live_.end())
        return;
    end_watching(found->second);
    live_.erase(found);
    if (!keeps_record)
        records_.remove(id);
}

/// With the table's lock.
void Migrations::end_watching(const LivePointer& live) {
    live->ends = true;
    live->ended.notify_all();
    retired_.add(live);
}

// --- what is asked ---

void Migrations::start(const Redirection& redirection, const Source& source,
                       const redirect::StartRequest& request, bool cuts_over_itself) {
    if (const auto old = old_of(source))
        throw Failure{EPERM, fmt::format("{} is the old source of {}: its data is of {}; filterctl redirect "
                                         "finish {} says that this is known",
                                         source.name, old->target, old->cut_over, source.name)};
    retired_.join();
    const bool is_only = request.mode == redirect::Mode::only;
    const auto target = blkfilter::DeviceId::from_path(request.target);
    Record record{.id = request.id,
                  .boot = around_.boot,
                  .source = source.id,
                  .source_name = source.name,
                  .lasting_names = lasting_names(source.name, around_.roots),
                  .target = target ? lasting_name(blkfilter::device_name(*target), around_.roots)
                                   : request.target.string(),
                  .started = now_as_text(),
                  .cuts_over_itself = cuts_over_itself,
                  .cut_over = is_only ? now_as_text() : ""};
    records_.write(record);
    if (const auto done = redirection.start(request); !done) {
        records_.remove(record.id);
        throw Failure{done.error().code, done.error().message};
    }
    const auto live = std::make_shared<Live>(std::move(record));
    const std::scoped_lock lock{mutex_};
    live_.emplace(request.id, live);
    begin_watching(live);
}

View Migrations::view(const Redirection& redirection, const Source& source) const {
    View view{.source = source, .status = value_of(redirection.status()), .before = old_of(source)};
    const auto live = live_of(view.status.id);
    if (!live)
        return view;
    const std::scoped_lock lock{mutex_};
    // It may not have been looked at since it ended.
    if (is_copying(view.status.state))
        view.outlook = live->meter.outlook();
    view.record = live->record;
    view.trouble = live->trouble;
    return view;
}

std::chrono::nanoseconds Migrations::cut_over(const Redirection& redirection, const Source& source,
                                              const redirect::CutOverLimits& limits) {
    const auto status = value_of(redirection.status());
    if (status.state != State::ready)
        throw Failure{EINVAL, fmt::format("{} is {}: only what is ready can be cut over", source.name,
                                          to_string(status.state))};
    if (const auto live = live_of(status.id))
        return cut_over_live(redirection, *live, limits);
    return value_of(redirection.cut_over(limits));
}

/// The record comes first: whatever happens then, a restart finds that the target may be the current device.
std::chrono::nanoseconds Migrations::cut_over_live(const Redirection& redirection, Live& live,
                                                   const redirect::CutOverLimits& limits) {
    const std::scoped_lock one_at_a_time{live.cutting};
    const auto note = [&](const std::string& cut_over) {
        Record record;
        {
            const std::scoped_lock lock{mutex_};
            live.record.cut_over = cut_over;
            record = live.record;
        }
        records_.write(record);
    };
    note(now_as_text());
    auto held = redirection.cut_over(limits);
    const auto status = redirection.status();
    // Somebody else's may have come first; and where nobody knows the record stays.
    if (!held && status && status->state != State::redirected)
        note("");
    return value_of(std::move(held));
}

bool Migrations::finish(const Redirection& redirection, const Source& source) {
    const auto status = value_of(redirection.status());
    if (status.state != State::redirected) {
        if (const auto old = old_of(source)) {
            records_.remove(old->id);
            const std::scoped_lock lock{mutex_};
            std::erase_if(old_, [&](const Record& record) { return record.id == old->id; });
            return false;
        }
    }
    expect_done(redirection.finish());
    retire(status.id, false);
    return true;
}

// --- what an earlier filterd has left ---

void Migrations::adopt() {
    std::vector<std::string> wrong;
    for (auto& record : records_.read(wrong)) {
        if (record.boot == around_.boot) {
            const auto live = std::make_shared<Live>(std::move(record));
            const std::scoped_lock lock{mutex_};
            live_.emplace(live->record.id, live);
            begin_watching(live);
        } else if (record.cut_over.empty()) {
            around_.log(FILTERD_WARNING,
                        fmt::format("the migration of {} to {} was ended by a restart: it starts "
                                    "again from the beginning",
                                    record.source_name, record.target));
            records_.remove(record.id);
        } else {
            around_.log(
                FILTERD_WARNING,
                fmt::format("{} is an old source: since {} its I/O went to {}, which is the current "
                            "device; filterctl redirect finish {} says that this is known",
                            record.lasting_names.empty() ? record.source_name : record.lasting_names.front(),
                            record.cut_over, record.target, record.source_name));
            const std::scoped_lock lock{mutex_};
            old_.push_back(std::move(record));
        }
    }
    for (const auto& line : wrong)
        around_.log(FILTERD_ERROR, line);
}

} // namespace filterd::redirects
