// SPDX-License-Identifier: MIT
/// @file
/// Migrations that an earlier boot has begun, and that go on by the kernel's record of them.
#include "live.hpp"

#include "../results.hpp"

#include <algorithm>
#include <cerrno>
#include <fmt/format.h>
#include <utility>

namespace filterd::redirects {

namespace redirect = blkfilter::redirect;
using redirect::State;

namespace {

using Clock = std::chrono::steady_clock;

/// Between two tries; the kernel logs each that it refuses.
constexpr std::chrono::milliseconds first_pause{1000};
constexpr std::chrono::milliseconds most_pause{30000};

const std::string& best_name(const Record& record) {
    return record.lasting_names.empty() ? record.source_name : record.lasting_names.front();
}

/// What is said of one when it is found.
std::string text_of_left(const Record& record, const Roots& roots) {
    auto text =
        record.cut_over.empty()
            ? fmt::format("the migration of {} to {} was ended by a restart", best_name(record),
                          record.target)
            : fmt::format("{} is an old source: since {} its I/O went to {}, which is the current device",
                          best_name(record), record.cut_over, record.target);
    if (!record.can_continue())
        return text +
               fmt::format("; filterctl redirect finish {} says that this is known", record.source_name);
    if (record.is_certain(roots))
        return text + "; it goes on when both are there and the source has the filter";
    return text + fmt::format("; whether they are the same devices now is not sure, as there are no names "
                              "that last: filterctl redirect continue {} says so, and goes on",
                              record.source_name);
}

/// What was refused for good, and what is to be done: for the journal, and whoever asks.
std::string advice_for(int code, const std::string& source, const Record& record) {
    std::string text;
    if (code == EXDEV || code == ENOKEY || code == ENODATA)
        text = fmt::format("; if {} is not the device that it was, filterctl redirect continue {} when it is",
                           record.place.kind == Place::Kind::target ? record.target : "one of them", source);
    else if (code == EPROTONOSUPPORT)
        text = fmt::format("; filterctl redirect continue {} with a later blkfilter-redirect", source);
    else if (code == EUCLEAN)
        text = "; let nobody mount or write to it before it is continued, the next time";
    if (record.cut_over.empty())
        return text +
               fmt::format("; filterctl redirect cancel {} forgets it, and it can be started again", source);
    if (code == EUCLEAN)
        text += fmt::format("; what was written to {} since the restart is not on {}", source, record.target);
    return text +
           fmt::format("; {} has the current data: use it instead of {}, and filterctl redirect finish {} "
                       "says that this is known",
                       record.target, source, source);
}

} // namespace

// --- the table ---

/// What is tried by itself is tried from now on.
void Migrations::keep_as_old(Record record) {
    around_.log(FILTERD_WARNING, text_of_left(record, around_.roots));
    const std::scoped_lock lock{mutex_};
    const bool waits = record.can_continue() && record.is_certain(around_.roots);
    old_.push_back({.record = std::move(record), .is_given_up = !waits});
    if (waits && !continuer_.joinable() && !ends_)
        continuer_ = std::thread{[this] { run_continuing(); }};
    changed_.notify_all();
}

void Migrations::look_again() {
    const std::scoped_lock lock{mutex_};
    for (auto& old : old_) {
        old.pause = {};
        old.next_try = {};
    }
    changed_.notify_all();
}

/// What is to be tried now.
std::vector<Record> Migrations::due() {
    const auto now = Clock::now();
    const std::scoped_lock lock{mutex_};
    std::vector<Record> records;
    for (const auto& old : old_)
        if (!old.is_given_up && old.next_try <= now)
            records.push_back(old.record);
    return records;
}

/// Said once; what is refused for good is not tried again by itself.
void Migrations::note_refusal(const Uuid& id, const Failure& failure) {
    const std::scoped_lock lock{mutex_};
    const auto found = std::ranges::find(old_, id, [](const Old& old) { return old.record.id; });
    if (found == old_.end())
        return;
    found->is_given_up = found->is_given_up || redirect::says_never(failure.code());
    found->pause = std::clamp(found->pause * 2, first_pause, most_pause);
    found->next_try = Clock::now() + found->pause;
    if (std::exchange(found->said, failure.what()) != failure.what())
        around_.log(found->is_given_up ? FILTERD_ERROR : FILTERD_WARNING, failure.what());
}

// --- by itself ---

void Migrations::run_continuing() {
    std::unique_lock lock{mutex_};
    while (!ends_) {
        lock.unlock();
        if (const auto records = due(); !records.empty())
            try_to_continue(records);
        lock.lock();
        if (std::ranges::all_of(old_, &Old::is_given_up))
            changed_.wait(lock, [this] { return ends_ || !std::ranges::all_of(old_, &Old::is_given_up); });
        else
            changed_.wait_for(lock, around_.period);
    }
}

/// Those whose sources are there, and have the filter.
void Migrations::try_to_continue(const std::vector<Record>& records) {
    const auto control = around_.control();
    const auto devices = control ? control->devices() : std::unexpected(control.error());
    if (!devices)
        return;
    for (const auto& device : *devices) {
        const auto names = lasting_names(device.name, around_.roots);
        const Redirection redirection{*control, device.device};
        for (const auto& record : records)
            if (record.is_of(device.name, names) && redirection.status())
                try_one(redirection, {.id = device.device, .name = device.name}, record.id);
    }
}

void Migrations::try_one(const Redirection& redirection, const Source& source, const Uuid& id) {
    const std::scoped_lock one_at_a_time{continuing_};
    const auto old = old_of(source);
    if (!old || old->record.id != id)
        return; // somebody has been here meanwhile
    try {
        continue_one(redirection, source, old->record);
    } catch (const Failure& failure) {
        note_refusal(id, failure);
    } catch (const std::exception& error) {
        note_refusal(id, {0, error.what()});
    }
}

// --- one ---

std::optional<blkfilter::Uuid> Migrations::go_on(const Redirection& redirection, const Source& source) {
    const std::scoped_lock one_at_a_time{continuing_};
    const auto old = old_of(source);
    if (!old) {
        const auto status = value_of(redirection.status());
        const bool is_under_way = !redirect::is_over(status.state) && live_of(status.id);
        return is_under_way ? std::optional{status.id} : std::nullopt;
    }
    if (!old->record.can_continue())
        throw Failure{ENODATA, fmt::format("{}: it was begun without a record that it could be continued by",
                                           source.name)};
    try {
        continue_one(redirection, source, old->record);
    } catch (const Failure& failure) {
        note_refusal(old->record.id, failure);
        throw;
    }
    return old->record.id;
}

/// With continuing_.
void Migrations::continue_one(const Redirection& redirection, const Source& source, Record record) {
    auto status = value_of(redirection.status());
    // Somebody may have done it before us: an initramfs, or a filterd that was killed then.
    if (status.id != record.id || redirect::is_over(status.state)) {
        const auto place =
            open_place(record.place, source.id.number(), false, around_.roots, around_.make_loop);
        const auto done = redirection.start({.target = record.target,
                                             .mode = record.mode,
                                             .target_sector = record.target_sector,
                                             .bytes_per_second = record.bytes_per_second,
                                             .in_flight = record.in_flight,
                                             .id = record.id,
                                             .record = place.node,
                                             .continues = true,
                                             .no_atomic_writes = record.no_atomic_writes});
        if (!done)
            throw Failure{done.error().code,
                          fmt::format("the migration of {} to {} is not continued: {}{}", source.name,
                                      record.target, done.error().message,
                                      redirect::says_never(done.error().code)
                                          ? advice_for(done.error().code, source.name, record)
                                          : "")};
        status = value_of(redirection.status());
    }
    take_on(source, std::move(record), status.state == State::redirected);
}

/// It goes on: what is noted of it is of this boot, and says what the kernel's record said.
void Migrations::take_on(const Source& source, Record record, bool is_redirected) {
    const auto id = record.id;
    record.boot = around_.boot;
    record.source = source.id;
    record.source_name = source.name;
    if (!is_redirected)
        record.cut_over.clear();
    else if (record.cut_over.empty())
        record.cut_over = now_as_text();
    around_.log(FILTERD_NOTICE,
                is_redirected
                    ? fmt::format("{}: all I/O goes to {}, as before the restart", source.name, record.target)
                    : fmt::format("the migration of {} to {} goes on", source.name, record.target));
    try {
        records_.write(record);
    } catch (const std::exception& error) {
        // The next filterd finds that it is under way.
        around_.log(FILTERD_ERROR, error.what());
    }
    {
        const std::scoped_lock lock{mutex_};
        std::erase_if(old_, [&](const Old& old) { return old.record.id == id; });
    }
    watch_from_now_on(std::move(record));
}

} // namespace filterd::redirects
