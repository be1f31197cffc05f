// SPDX-License-Identifier: MIT
/// @file
/// Keeps the kernel's stacks as the files declare them: the daemon without its sockets and threads.
#pragma once

#include "daemon/desired.hpp"
#include "daemon/notice.hpp"
#include "daemon/rollback.hpp"
#include "daemon/rules.hpp"
#include "device/match.hpp"
#include "engine/apply.hpp"

#include <chrono>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace filterd {

/// Where a keeper leaves what the next one must know. Empty paths: it leaves nothing.
struct StateFiles {
    std::filesystem::path rules{};
    std::filesystem::path rollback{};
};

/// What was planned for a device, or done.
struct Report {
    std::string name{}; ///< as declared; empty: only orphaned filters are on it
    blkfilter::DeviceId id{};
    std::string device{}; ///< the kernel's name
    Plan plan{};
    bool changed{};
    std::optional<blkfilter::Error> error{};

    /// All that was to be done could be.
    [[nodiscard]] bool is_complete() const { return !error && !plan.is_blocked(); }
};

/// What apply() is asked for.
struct ApplyRequest {
    bool prune{};                                         ///< orphaned filters without a history go
    std::set<std::string> named{};                        ///< orphaned filters that go with their history
    std::optional<std::chrono::seconds> rollback_after{}; ///< it is undone then unless it is confirmed
    std::function<void(std::size_t done, std::size_t all, const std::string& device)> progress{};
};

/// For one thread. A call lasts as long as the kernel takes for its transactions.
///
/// A device is made as declared when it appears, when the files have changed, when a module comes, and again
/// until that has worked. What others change later is shown as drift and stays until somebody applies: two
/// programs that repair each other's work would never end.
class Keeper {
public:
    using Clock = std::chrono::steady_clock;

    Keeper(Engine& engine, Filters& filters, ConfigFiles files, StateFiles state, Tell tell);

    // --- what happens ---

    /// Devices that are there when filterd begins. The files are not read yet.
    void begin(device::Devices devices);
    /// Reads the files: from here on they hold. Whatever is wrong with them: what held goes on. False then.
    bool read_files();
    /// Makes all devices that are there as declared, but for those that a rollback has left otherwise.
    void attend_all();
    /// Reads the files and makes all devices as they say; false when something is wrong with them.
    bool reload();
    /// A device is new, or something about it is.
    void appeared(const device::Facts& facts);
    void gone(const blkfilter::DeviceId& device);
    /// The kernel says that somebody has changed this stack.
    void stack_changed(const blkfilter::DeviceId& device);
    /// Some filter is registered now, or the kernel has said what nobody has heard: looks again at what is
    /// not as declared.
    void look_again();
    /// To be called every second or so: tries again what has failed, undoes what nobody confirms.
    void tick(Clock::time_point now = Clock::now());

    // --- what is asked for ---

    /// What apply() would do with the files as they are now. Errors: EINVAL, the files.
    blkfilter::Result<std::vector<Report>> plan(const ApplyRequest& request);
    /// Reads the files, and makes everything as they say. EBUSY: a rollback is pending.
    blkfilter::Result<std::vector<Report>> apply(const ApplyRequest& request);
    /// What was applied stays. ENOENT: no rollback is pending.
    blkfilter::Result<void> confirm();
    /// Undoes it now. ENOENT: as confirm().
    blkfilter::Result<void> roll_back();

    // --- what there is ---

    [[nodiscard]] const Desired& desired() const { return desired_; }
    /// What is wrong with the files as they were read last; empty: nothing.
    [[nodiscard]] const std::vector<std::string>& complaints() const { return complaints_; }
    [[nodiscard]] const device::Devices& devices() const { return devices_; }
    [[nodiscard]] const std::vector<device::Meaning>& meanings() const { return meanings_; }
    [[nodiscard]] const std::vector<std::string>& covers() const { return covers_; }
    [[nodiscard]] const Rollback& rollback() const { return rollback_; }
    /// What is declared for a device; nothing when nothing is, or not clearly.
    [[nodiscard]] std::optional<std::size_t> declaration_of(const blkfilter::DeviceId& device) const;
    /// The plan for a device that is there, of what holds now.
    [[nodiscard]] blkfilter::Result<Plan> plan_of(const blkfilter::DeviceId& device) const;
    /// Devices that have filters, or shall have.
    [[nodiscard]] std::vector<blkfilter::DeviceId> concerned() const;
    /// The kernel's name of a device, or its number when it is gone.
    [[nodiscard]] std::string name_of(const blkfilter::DeviceId& device) const;

private:
    /// Whether a device is as declared, and when it is to be tried again.
    struct Attention {
        bool settled{};
        int failures{};
        Clock::time_point next{};
    };

    std::optional<Desired> load();
    void complain(const config::Diagnostics& diagnostics);
    void tell_complaints(Priority priority) const;
    void adopt(Desired desired);
    void fit_all();
    void fit(const blkfilter::DeviceId& device);
    void resolve();
    void attend(const blkfilter::DeviceId& device);
    void attend_other_than(const std::map<blkfilter::DeviceId, std::size_t>& before);
    void undo();
    void ask_plugins_again();
    void note(const Report& report);
    void tell_plugins(const Report& report);
    [[nodiscard]] std::span<const Wanted> wanted_of(const blkfilter::DeviceId& device) const;
    [[nodiscard]] ApplyOptions options_of(const ApplyRequest& request) const;
    Report apply_to(const blkfilter::DeviceId& device, const ApplyOptions& options);
    std::vector<Report> apply_all(const ApplyRequest& request, bool only_plan);

    Engine& engine_;
    Filters& filters_;
    ConfigFiles files_;
    Tell tell_;
    Desired desired_{};
    std::vector<std::string> complaints_{};
    device::Devices devices_{};
    device::Fitting fitting_{};
    std::vector<device::Meaning> meanings_{};
    std::map<blkfilter::DeviceId, std::size_t> declarations_{}; ///< of devices that are clearly meant
    std::vector<std::string> covers_{};
    std::map<blkfilter::DeviceId, Attention> attention_{};
    Rules rules_;
    Rollback rollback_;
};

} // namespace filterd
