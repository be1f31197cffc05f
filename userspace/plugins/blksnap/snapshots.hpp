// SPDX-License-Identifier: MIT
/// @file
/// All snapshots of this filterd: they are made, watched, grown, found again and ended here.
#pragma once

#include "file_systems.hpp"
#include "growth.hpp"
#include "links.hpp"
#include "record.hpp"
#include "request.hpp"

#include "../moment.hpp"
#include "../retired.hpp"

#include <blkfilter/blksnap.hpp>
#include <blkfilter/control.hpp>
#include <filterd/plugin.hpp>

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

namespace filterd::snapshots {

/// What is around: the system, or what a test has for it.
struct Surroundings {
    using Control = blkfilter::Control;
    using Module = blkfilter::blksnap::Module;

    /// Of records. Like snapshots they go with the machine; and it is there before file systems are.
    std::filesystem::path state_folder{"/run/blkfilter"};
    std::filesystem::path link_folder{"/run/blkfilter/images"};
    std::string boot = boot_id();
    std::function<blkfilter::Result<Control>()> control = [] { return Control::open(); };
    std::function<blkfilter::Result<Module>()> module = [] { return Module::open(); };
    Roots roots = system_roots();
    std::function<void(filterd_priority, const std::string&)> log = filterd::log;
    std::function<int(const std::string&, const std::vector<std::string>&, std::uint32_t)> run = filterd::run;
};

using Progress = std::function<void(std::uint32_t thousandths, const std::string& text)>;

/// One that was made.
struct Created {
    Record record{};
    blkfilter::blksnap::SnapshotStatistics statistics{};
    std::vector<FileSystem> file_systems{}; ///< on its devices
};

/// A snapshot as it is now.
struct Status {
    Record record{};
    bool ours{true}; ///< this filterd has made it, or makes it now; else only its id is known
    /// Of one that is being made: what is known of it here, as the kernel is busy with it.
    blkfilter::blksnap::SnapshotStatistics statistics{};
    std::uint64_t others_bytes{}; ///< storage of other snapshots with the same path
    double rate{};                ///< bytes a second
    std::optional<std::chrono::seconds> until_full{};
};

/// From several threads at once. What fails throws a Failure.
class Snapshots {
public:
    explicit Snapshots(Surroundings surroundings);
    Snapshots(const Snapshots&) = delete;
    Snapshots& operator=(const Snapshots&) = delete;
    /// Ends the watching; the snapshots stay.
    ~Snapshots();

    /// Finds what an earlier filterd has left: takes on what is whole, ends what was only half made.
    /// Hooks that are due are run by run_due_hooks(): they may last.
    void adopt();
    void run_due_hooks();

    /// Makes one. EEXIST: the label is in use; EBUSY: a device takes part in another one; ENOENT: a device
    /// has no filter blksnap; what libblkfilter says; ECANCELED: the hook before has failed. Nothing is left
    /// then. While it is made, list() and find() show it as not taken.
    Created create(Request request, const Progress& progress);

    /// All that the kernel has.
    [[nodiscard]] std::vector<Status> list() const;

    /// By its label or its id. ENOENT.
    [[nodiscard]] Status find(const std::string& name) const;
    /// One that can be worked with. EBUSY: it is being made.
    [[nodiscard]] Status find_made(const std::string& name) const;

    /// More storage now, whatever the limit says. EBUSY: it is being made; EOPNOTSUPP: it is a device.
    void extend(const std::string& name, std::uint64_t bytes);

    /// EBUSY: it is being made, or an image is mounted; EPERM: it is somebody else's. @p force: also one that
    /// is mounted, and somebody else's.
    void destroy(const std::string& name, bool force);

    [[nodiscard]] const Surroundings& surroundings() const { return around_; }

private:
    using Uuid = blkfilter::Uuid;
    struct Live;
    using LivePointer = std::shared_ptr<Live>;

    // snapshots.cpp: the table
    [[nodiscard]] LivePointer live_of(const Uuid& id) const;
    [[nodiscard]] std::optional<Uuid> id_of(const std::string& name) const;
    [[nodiscard]] bool is_label_in_use(const std::string& label) const;
    [[nodiscard]] std::uint64_t others_of(const Live& live) const;
    [[nodiscard]] Status status_of(const Uuid& id, const blkfilter::blksnap::Module& module) const;
    void refuse_mounted(const Record& record) const;
    void retire(const Uuid& id);

    // create.cpp
    void check(const Request& request) const;
    [[nodiscard]] blkfilter::blksnap::Snapshot begin(const blkfilter::blksnap::Module& module,
                                                     Record& record);
    void fill(Live& live, const blkfilter::blksnap::Snapshot& snapshot);
    std::vector<FileSystem> take(const blkfilter::blksnap::Snapshot& snapshot, Record& record,
                                 const Progress& progress);
    void give_up(blkfilter::blksnap::Snapshot snapshot, Record& record);
    void run_before(Record& record);
    void finish_hooks(Record& record, bool taken);
    [[nodiscard]] int run_hook(const Record& record, const std::string& command, const char* result) const;
    void keep(const Record& record) const;

    // watch.cpp
    void begin_watching(const LivePointer& live);
    void watch(const LivePointer& live);
    void watch_once(Live& live, const blkfilter::blksnap::Snapshot& snapshot);
    Growth look(Live& live, const blkfilter::blksnap::SnapshotStatistics& statistics,
                std::uint64_t asked_bytes);
    void tell(const Live& live, const blkfilter::blksnap::SnapshotEvent& event) const;
    void append(Live& live, const blkfilter::blksnap::Snapshot& snapshot, std::uint64_t bytes);
    void adopt_one(Record record, const blkfilter::blksnap::Module* module);
    void end_unknown(const blkfilter::blksnap::Module& module, const std::vector<Uuid>& before,
                     const std::vector<Record>& records);

    Surroundings around_;
    Records records_;
    Links links_;
    mutable std::mutex mutex_; ///< of live_ and of what is in it
    std::map<Uuid, LivePointer> live_;
    std::vector<Record> due_; ///< found again, with a hook that may be due
    std::mutex creating_;     ///< one at a time
    Retired<Live> retired_;
};

} // namespace filterd::snapshots
