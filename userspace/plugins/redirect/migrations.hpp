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
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
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
};

/// A device with the filter, as it is called.
struct Source {
    blkfilter::DeviceId id{};
    std::string name{}; ///< the kernel's
};

/// How a migration or a redirect is.
struct View {
    Source source{};
    blkfilter::redirect::Status status{};
    Outlook outlook{};
    std::optional<Record> record{}; ///< of this one; nothing: another program has begun it
    std::optional<Record> before{}; ///< of an earlier boot: what is on the source is old
    std::string trouble{};          ///< of the last cut-over that was tried by itself; empty: none
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

    /// Begins one, as what the kernel and the request say. EPERM: what is on the source is old.
    void start(const Redirection& redirection, const Source& source,
               const blkfilter::redirect::StartRequest& request, bool cuts_over_itself);

    /// The device has been redirected since before filterd began, or whatever else it is.
    [[nodiscard]] View view(const Redirection& redirection, const Source& source) const;

    /// For how long writes were held. Whoever asks, it is on record before it happens.
    std::chrono::nanoseconds cut_over(const Redirection& redirection, const Source& source,
                                      const blkfilter::redirect::CutOverLimits& limits);

    /// Ends a redirect. Of one of an earlier boot only the record is left: false then.
    bool finish(const Redirection& redirection, const Source& source);

    [[nodiscard]] const Surroundings& surroundings() const { return around_; }

private:
    using Uuid = blkfilter::Uuid;
    struct Live;
    using LivePointer = std::shared_ptr<Live>;

    // migrations.cpp: the table
    [[nodiscard]] LivePointer live_of(const Uuid& id) const;
    [[nodiscard]] std::optional<Record> old_of(const Source& source) const;
    void retire(const Uuid& id, bool keeps_record);
    void end_watching(const LivePointer& live);
    std::chrono::nanoseconds cut_over_live(const Redirection& redirection, Live& live,
                                           const blkfilter::redirect::CutOverLimits& limits);

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
    std::vector<Record> old_; ///< of earlier boots, cut over
    Retired<Live> retired_;
};

} // namespace filterd::redirects
