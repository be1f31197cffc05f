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

namespace {

/// What can be done about it, where it is not plain.
std::string advice_for_start(int code) {
    switch (code) {
    case EDESTADDRREQ:
        return ". Say --record with a device or a file, or --no-record: a restart before the cut-over means "
               "starting again then";
    case EEXIST:
        return ". To begin all the same, overwrite the record first";
    default:
        return "";
    }
}

} // namespace

Migrations::Migrations(Surroundings surroundings)
    : around_{std::move(surroundings)}, records_{around_.state_folder} {}

Migrations::~Migrations() {
    {
        const std::scoped_lock lock{mutex_};
        ends_ = true;
        changed_.notify_all();
    }
    // It may begin to watch one until then.
    if (continuer_.joinable())
        continuer_.join();
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

/// That an earlier boot has left something of the device, and nobody has said since that this is known.
std::optional<Migrations::Old> Migrations::old_of(const Source& source) const {
    const auto names = lasting_names(source.name, around_.roots);
    const std::scoped_lock lock{mutex_};
    const auto found =
        std::ranges::find_if(old_, [&](const Old& old) { return old.record.is_of(source.name, names); });
    return found == old_.end() ? std::nullopt : std::optional{*found};
}

/// The same, when nothing is under way. The filter may not be attached.
std::optional<Record> Migrations::left_of(const Redirection& redirection, const Source& source) const {
    const auto status = redirection.status();
    const auto old = old_of(source);
    return old && (!status || redirect::is_over(status->state)) ? std::optional{old->record} : std::nullopt;
}

void Migrations::expect_nothing_left(const Source& source) const {
    const auto old = old_of(source);
    if (!old)
        return;
    const auto& record = old->record;
    if (!record.cut_over.empty())
        throw Failure{EPERM, fmt::format("{} is the old source of {}: its data is of {}; filterctl redirect "
                                         "finish {} says that this is known",
                                         source.name, record.target, record.cut_over, source.name)};
    throw Failure{EPERM, fmt::format("the migration of {} to {} of {} is to be continued: filterctl redirect "
                                     "continue {} does that, filterctl redirect cancel {} forgets it",
                                     source.name, record.target, record.started, source.name, source.name)};
}

/// Of an earlier boot; with continuing_.
void Migrations::forget(const Uuid& id) {
    records_.remove(id);
    const std::scoped_lock lock{mutex_};
    std::erase_if(old_, [&](const Old& old) { return old.record.id == id; });
}

void Migrations::watch_from_now_on(Record record) {
    const auto live = std::make_shared<Live>(std::move(record));
    const std::scoped_lock lock{mutex_};
    live_.emplace(live->record.id, live);
    begin_watching(live);
}

/// Takes one off the table. May come twice.
void Migrations::retire(const Uuid& id, bool keeps_record) {
    Record record;
    {
        const std::scoped_lock lock{mutex_};
        const auto found = live_.find(id);
        if (found == live_.end())
            return;
        record = found->second->record;
        end_watching(found->second);
        live_.erase(found);
    }
    if (keeps_record)
        keep_as_old(std::move(record));
    else
        records_.remove(id);
}

/// With the table's lock.
void Migrations::end_watching(const LivePointer& live) {
    live->ends = true;
    live->ended.notify_all();
    retired_.add(live);
}

// --- what is asked ---

void Migrations::start(const Redirection& redirection, const Source& source, Wish wish) {
    expect_nothing_left(source);
    retired_.join();
    auto& request = wish.request;
    // What is written through it gets to the source itself, so that nothing needs to be known after a
    // restart.
    if (request.interposes)
        return expect_done(redirection.start(request));
    const auto target = blkfilter::DeviceId::from_path(request.target);
    const auto place = open_place(wish.place, source.id.number(), true, around_.roots, around_.make_loop);
    request.record = place.node;
    request.no_record = wish.place.kind == Place::Kind::none && request.mode != redirect::Mode::only;
    Record record{.id = request.id,
                  .boot = around_.boot,
                  .source = source.id,
                  .source_name = source.name,
                  .lasting_names = lasting_names(source.name, around_.roots),
                  .target = target ? lasting_name(blkfilter::device_name(*target), around_.roots)
                                   : request.target.string(),
                  .target_sector = request.target_sector,
                  .place = wish.place,
                  .mode = request.mode,
                  .bytes_per_second = request.bytes_per_second,
                  .in_flight = request.in_flight,
                  .no_atomic_writes = request.no_atomic_writes,
                  .started = now_as_text(),
                  .cuts_over_itself = wish.cuts_over_itself,
                  .cut_over = request.mode == redirect::Mode::only ? now_as_text() : ""};
    records_.write(record);
    if (const auto done = redirection.start(request); !done) {
        records_.remove(record.id);
        throw Failure{done.error().code, done.error().message + advice_for_start(done.error().code)};
    }
    watch_from_now_on(std::move(record));
}

void Migrations::set(const Redirection& redirection, const redirect::Settings& settings) {
    expect_done(redirection.set(settings));
    const auto status = value_of(redirection.status());
    const auto live = live_of(status.id);
    if (!live)
        return;
    Record record;
    {
        const std::scoped_lock lock{mutex_};
        live->record.bytes_per_second = status.bytes_per_second;
        live->record.in_flight = status.in_flight;
        record = live->record;
    }
    records_.write(record);
}

View Migrations::view(const Redirection& redirection, const Source& source) const {
    View view{.source = source, .status = value_of(redirection.status())};
    if (auto old = old_of(source)) {
        view.before = std::move(old->record);
        view.trouble = std::move(old->said);
    }
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

bool Migrations::cancel(const Redirection& redirection, const Source& source) {
    const std::scoped_lock one_at_a_time{continuing_};
    const auto left = left_of(redirection, source);
    if (!left) {
        expect_done(redirection.cancel());
        return true;
    }
    if (!left->cut_over.empty())
        throw Failure{EBUSY,
                      fmt::format("{} was cut over to {}, which has the current data: filterctl redirect "
                                  "finish {} says that this is known",
                                  source.name, left->target, source.name)};
    forget(left->id);
    return false;
}

bool Migrations::finish(const Redirection& redirection, const Source& source, redirect::Freeze freeze) {
    {
        const std::scoped_lock one_at_a_time{continuing_};
        if (const auto left = left_of(redirection, source)) {
            forget(left->id);
            return false;
        }
    }
    const auto status = value_of(redirection.status());
    if (freeze == redirect::Freeze::no && !status.is_interposed)
        throw Failure{EINVAL, fmt::format("{}: --no-freeze is for what is interposed", source.name)};
    expect_done(redirection.finish(freeze));
    retire(status.id, false);
    return true;
}

// --- what an earlier filterd has left ---

void Migrations::adopt() {
    std::vector<std::string> wrong;
    for (auto& record : records_.read(wrong)) {
        if (record.boot == around_.boot) {
            watch_from_now_on(std::move(record));
        } else if (!record.can_continue() && record.cut_over.empty()) {
            around_.log(FILTERD_WARNING,
                        fmt::format("the migration of {} to {} was ended by a restart, and has no record: it "
                                    "starts again from the beginning",
                                    record.source_name, record.target));
            records_.remove(record.id);
        } else {
            keep_as_old(std::move(record));
        }
    }
    for (const auto& line : wrong)
        around_.log(FILTERD_ERROR, line);
}

} // namespace filterd::redirects
