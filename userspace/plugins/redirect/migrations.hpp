// SPDX-License-Identifier: MIT
/// @file
/// All migrations and redirects of this filterd: they are begun, watched, cut over and found again here.
#pragma once

#include "meter.hpp"
#include "names.hpp"
#include "record.hpp"

#include "../moment.hpp"
#include "../retired.hpp"

#include <blkfilter/control.hpp>
#include <blkfilter/redirect.hpp>
#include <filterd/plugin.hpp>

#include <chrono>
#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

namespace filterd::redirects {

using blkfilter::redirect::Redirection;

/// What is around: the system, or what a test has for it.
struct Surroundings {
    std::filesystem::path state_folder{"/run/blkfilter/redirects"};
    std::string boot = boot_id();
    std::function<blkfilter::Result<blkfilter::Control>()> control = [] {
        return blkfilter::Control::open();
    };
    Roots roots{};
    std::function<void(filterd_priority, const std::string&)> log = filterd::log;
    std::chrono::milliseconds period{1000}; ///< between two looks at a migration
    MakeLoop make_loop = [](const std::filesystem::path& file) {
        return make_loop_device(file, blkfilter::redirect::record_bytes);
    };
};

/// A device with the filter, as it is called.
struct Source {
    blkfilter::DeviceId id{};
    std::string name{}; ///< the kernel's
};

/// What somebody wants to begin.
struct Wish {
    blkfilter::redirect::StartRequest request{}; ///< but for what the place says
    Place place{};
    bool cuts_over_itself{}; ///< as soon as it is ready
};

/// How a migration or a redirect is.
struct View {
    Source source{};
    blkfilter::redirect::Status status{};
    Outlook outlook{};
    std::optional<Record> record{}; ///< of this one; nothing: another program has begun it
    /// Of an earlier boot, and not continued. With a cut-over what is on the source is old.
    std::optional<Record> before{};
    std::string trouble{}; ///< of what was tried by itself the last time; empty: none
};

/// From several threads at once. What fails throws a Failure.
class Migrations {
public:
    explicit Migrations(Surroundings surroundings);
    Migrations(const Migrations&) = delete;
    Migrations& operator=(const Migrations&) = delete;
    /// Ends the watching; what is under way in the kernel goes on.
    ~Migrations();

    /// Finds what an earlier filterd has left, of this boot and of others.
    void adopt();

    /// Begins one, as what the kernel and the wish say. EPERM: what is on the source is old, or is to be
    /// continued.
    void start(const Redirection& redirection, const Source& source, Wish wish);

    /// Goes on with what an earlier boot has left of it, now and whatever was in the way before. Returns its
    /// id, also of one that goes on already; nothing: there is none.
    std::optional<blkfilter::Uuid> go_on(const Redirection& redirection, const Source& source);

    /// A device may have the filter now: what waits for it is tried at once.
    void look_again();

    /// Kept for after a restart, too.
    void set(const Redirection& redirection, const blkfilter::redirect::Settings& settings);

    /// The device has been redirected since before filterd began, or whatever else it is.
    [[nodiscard]] View view(const Redirection& redirection, const Source& source) const;

    /// For how long writes were held. Whoever asks, it is on record before it happens.
    std::chrono::nanoseconds cut_over(const Redirection& redirection, const Source& source,
                                      const blkfilter::redirect::CutOverLimits& limits);

    /// Ends a migration. Of one of an earlier boot only the record is left: false then, it is forgotten.
    /// EBUSY: it is redirected, or was.
    bool cancel(const Redirection& redirection, const Source& source);

    /// Ends a redirect; otherwise likewise. EINVAL: not to freeze is for what is interposed.
    bool finish(const Redirection& redirection, const Source& source,
                blkfilter::redirect::Freeze freeze = blkfilter::redirect::Freeze::yes);

    [[nodiscard]] const Surroundings& surroundings() const { return around_; }

private:
    using Uuid = blkfilter::Uuid;
    struct Live;
    struct Old;
    using LivePointer = std::shared_ptr<Live>;

    // migrations.cpp: the table
    [[nodiscard]] LivePointer live_of(const Uuid& id) const;
    [[nodiscard]] std::optional<Old> old_of(const Source& source) const;
    [[nodiscard]] std::optional<Record> left_of(const Redirection& redirection, const Source& source) const;
    void expect_nothing_left(const Source& source) const;
    void forget(const Uuid& id);
    void watch_from_now_on(Record record);
    void retire(const Uuid& id, bool keeps_record);
    void end_watching(const LivePointer& live);
    std::chrono::nanoseconds cut_over_live(const Redirection& redirection, Live& live,
                                           const blkfilter::redirect::CutOverLimits& limits);

    // continue.cpp
    void keep_as_old(Record record);
    void run_continuing();
    [[nodiscard]] std::vector<Record> due();
    void try_to_continue(const std::vector<Record>& records);
    void try_one(const Redirection& redirection, const Source& source, const Uuid& id);
    void continue_one(const Redirection& redirection, const Source& source, Record record);
    void take_on(const Source& source, Record record, bool is_redirected);
    void note_refusal(const Uuid& id, const Failure& failure);

    // watch.cpp
    void begin_watching(const LivePointer& live);
    void watch(const LivePointer& live);
    void watch_once(const LivePointer& live, const Redirection& redirection);
    [[nodiscard]] bool is_cut_over(const Live& live) const;
    void note_redirected(Live& live);
    void try_cut_over(Live& live, const Redirection& redirection);
    void tell_end(const Live& live, const blkfilter::redirect::Status& status) const;

    Surroundings around_;
    Records records_;
    mutable std::mutex mutex_; ///< of all below, and of what changes in it
    std::map<Uuid, LivePointer> live_;
    std::vector<Old> old_;  ///< of earlier boots
    std::mutex continuing_; ///< one is continued or forgotten at a time; taken before the table's lock
    std::condition_variable changed_; ///< old_, or ends_
    bool ends_{};
    std::thread continuer_; ///< from the first one in old_ on
    Retired<Live> retired_;
};

} // namespace filterd::redirects
