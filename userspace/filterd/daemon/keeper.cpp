// SPDX-License-Identifier: MIT
#include "daemon/keeper.hpp"

#include <algorithm>
#include <cerrno>
#include <fmt/format.h>
#include <fmt/ranges.h>

namespace filterd {

using blkfilter::DeviceId;
using blkfilter::Error;
using blkfilter::Result;

namespace {

constexpr std::chrono::seconds first_pause{1};
constexpr int most_doublings = 6; ///< of the pause between tries: a minute

std::string text_of(const Plan& plan) {
    std::vector<std::string> parts;
    parts.reserve(plan.steps.size());
    for (const auto& step : plan.steps)
        parts.push_back(fmt::format("{} {}: {}", to_string(step.kind), step.filter, step.text));
    return fmt::format("{}", fmt::join(parts, "; "));
}

} // namespace

Keeper::Keeper(Engine& engine, Filters& filters, ConfigFiles files, StateFiles state, Tell tell)
    : engine_{engine}, filters_{filters}, files_{std::move(files)}, tell_{std::move(tell)},
      rules_{engine, std::move(state.rules)}, rollback_{engine, std::move(state.rollback), tell_} {}

// --- which device is which ---

void Keeper::fit_all() {
    fitting_ = device::fitting(desired_.config.devices, devices_);
    resolve();
}

/// After something about this device has changed.
void Keeper::fit(const DeviceId& device) {
    device::refit(fitting_, desired_.config.devices, devices_, device);
    resolve();
}

void Keeper::resolve() {
    meanings_ = device::resolve(desired_.config.devices, devices_, fitting_);
    declarations_.clear();
    for (std::size_t i = 0; i < meanings_.size(); ++i)
        if (meanings_[i].state == device::Meaning::State::present)
            for (const auto& id : meanings_[i].devices)
                declarations_.emplace(id, i);
}

std::optional<std::size_t> Keeper::declaration_of(const DeviceId& device) const {
    const auto found = declarations_.find(device);
    return found == declarations_.end() ? std::nullopt : std::optional{found->second};
}

std::span<const Wanted> Keeper::wanted_of(const DeviceId& device) const {
    const auto declaration = declaration_of(device);
    return declaration ? std::span<const Wanted>{desired_.wanted[*declaration]} : std::span<const Wanted>{};
}

std::string Keeper::name_of(const DeviceId& device) const {
    const auto found = devices_.find(device);
    return found == devices_.end() ? device.number() : found->second.name;
}

std::vector<DeviceId> Keeper::concerned() const {
    std::set<DeviceId> unclear;
    for (const auto& meaning : meanings_)
        if (meaning.state == device::Meaning::State::ambiguous)
            unclear.insert(meaning.devices.begin(), meaning.devices.end());
    std::vector<DeviceId> all;
    all.reserve(declarations_.size());
    for (const auto& [device, declaration] : declarations_)
        all.push_back(device);
    if (const auto filtered = engine_.devices())
        for (const auto& device : *filtered)
            if (!declarations_.contains(device) && !unclear.contains(device))
                all.push_back(device);
    return all;
}

// --- one device ---

Report Keeper::apply_to(const DeviceId& device, const ApplyOptions& options) {
    Report report{.id = device, .device = name_of(device)};
    if (const auto declaration = declaration_of(device))
        report.name = desired_.config.devices[*declaration].name;
    const bool noted = rollback_.is_pending() && !options.only_plan;
    if (noted) {
        const auto before = engine_.stack(device);
        if (!before) {
            report.error = before.error();
            return report;
        }
        rollback_.note(*before);
    }
    auto applied = filterd::apply(engine_, device, wanted_of(device), options);
    if (noted)
        rollback_.note_done(applied && applied->changed ? std::optional{applied->generation} : std::nullopt);
    if (applied) {
        report.plan = std::move(applied->done);
        report.changed = applied->changed;
        if (!options.only_plan)
            tell_plugins(report);
    } else {
        report.error = applied.error();
    }
    return report;
}

/// Of filters that are there, and ours.
void Keeper::tell_plugins(const Report& report) {
    for (const auto& filter : wanted_of(report.id)) {
        const auto entry =
            std::ranges::find(report.plan.entries, filter.name, &blkfilter::EntryRequest::name);
        if (entry != report.plan.entries.end() && entry->owner == declared_tag)
            filters_.attached(filter.name, report.id, filter.keys);
    }
}

void Keeper::note(const Report& report) {
    auto& attention = attention_[report.id];
    attention.settled = report.is_complete();
    if (report.error) {
        attention.next = Clock::now() + first_pause * (1 << std::min(attention.failures++, most_doublings));
        tell_({.priority = Priority::error,
               .type = "failed",
               .text = report.error->message,
               .device = report.device});
        return;
    }
    attention.failures = 0;
    attention.next = Clock::time_point::max(); // what blocks it must change first
    if (report.changed || report.plan.is_blocked())
        tell_({.priority = report.plan.is_blocked() ? Priority::warning : Priority::notice,
               .type = report.plan.is_blocked() ? "blocked" : "applied",
               .text = text_of(report.plan),
               .device = report.device});
}

void Keeper::attend(const DeviceId& device) {
    if (declaration_of(device))
        note(apply_to(device, {}));
}

/// Those that mean something else than @p before, or did not mean anything.
void Keeper::attend_other_than(const std::map<DeviceId, std::size_t>& before) {
    for (const auto& [device, declaration] : declarations_) {
        const auto was = before.find(device);
        if (was == before.end() || was->second != declaration)
            attend(device);
    }
}

Result<Plan> Keeper::plan_of(const DeviceId& device) const {
    auto planned = filterd::apply(engine_, device, wanted_of(device), {.only_plan = true});
    if (!planned)
        return std::unexpected(planned.error());
    return std::move(planned->done);
}

// --- what happens ---

void Keeper::begin(device::Devices devices) {
    devices_ = std::move(devices);
}

std::optional<Desired> Keeper::load() {
    config::Diagnostics diagnostics;
    auto desired = load_desired(files_, filters_, diagnostics);
    complain(diagnostics);
    return desired;
}

void Keeper::complain(const config::Diagnostics& diagnostics) {
    complaints_.clear();
    for (const auto& diagnostic : diagnostics.sorted())
        complaints_.push_back(diagnostic.to_string());
}

void Keeper::tell_complaints(Priority priority) const {
    for (const auto& complaint : complaints_)
        tell_({.priority = priority, .type = "config", .text = complaint});
}

void Keeper::adopt(Desired desired) {
    desired_ = std::move(desired);
    attention_.clear();
    fit_all();
    covers_ = rules_.update(desired_);
}

bool Keeper::read_files() {
    auto desired = load();
    tell_complaints(desired ? Priority::warning : Priority::error);
    if (!desired) {
        tell_({.priority = Priority::error,
               .type = "config",
               .text = "the files are wrong: what held before them goes on"});
        return false;
    }
    adopt(std::move(*desired));
    return true;
}

void Keeper::attend_all() {
    for (const auto& [device, declaration] : declarations_)
        if (rollback_.leaves_alone(device))
            attention_[device] = {.settled = true};
        else
            attend(device);
}

bool Keeper::reload() {
    if (!read_files())
        return false;
    rollback_.leave_none_alone();
    attend_all();
    return true;
}

/// Of what holds, not of the files: somebody may be editing them.
void Keeper::ask_plugins_again() {
    config::Diagnostics diagnostics;
    for (const auto& [device, declaration] : declarations_)
        if (!rollback_.leaves_alone(device) &&
            std::ranges::any_of(desired_.wanted[declaration],
                                [](const Wanted& filter) { return !filter.options; }))
            attention_[device].settled = false;
    if (ask_plugins(desired_, filters_, diagnostics)) {
        look_again();
    } else {
        complain(diagnostics);
        tell_complaints(Priority::error);
    }
}

void Keeper::appeared(const device::Facts& facts) {
    // Another medium, or another file of a loop device: what had this number is gone, and nobody says so.
    std::erase_if(devices_, [&](const auto& known) {
        const auto& id = known.first;
        const bool replaced = id != facts.id && id.major == facts.id.major && id.minor == facts.id.minor;
        if (replaced) {
            fitting_.erase(id);
            attention_.erase(id);
        }
        return replaced;
    });
    devices_.insert_or_assign(facts.id, facts);
    // Also when nothing about it seems to be new: links that are not udev's are followed. And it may make
    // another declaration ambiguous, or clear.
    const auto before = std::move(declarations_);
    fit(facts.id);
    attend_other_than(before);
}

void Keeper::gone(const DeviceId& device) {
    if (devices_.erase(device) == 0)
        return;
    attention_.erase(device);
    const auto before = std::move(declarations_);
    fit(device);
    attend_other_than(before);
}

void Keeper::stack_changed(const DeviceId& device) {
    const auto found = attention_.find(device);
    // Our own changes come here too, when all is settled.
    if (found != attention_.end() && !found->second.settled && found->second.failures == 0)
        attend(device);
}

void Keeper::look_again() {
    look_for_modules(desired_, filters_);
    covers_ = rules_.update(desired_);
    for (const auto& [device, declaration] : declarations_)
        if (!attention_[device].settled)
            attend(device);
}

/// What the files say of the devices that are there is drift from then on, which nothing but apply() or
/// reload() repairs: what was blocked or has failed must not come all the same.
void Keeper::undo() {
    std::set<DeviceId> devices;
    for (const auto& [device, declaration] : declarations_) {
        devices.insert(device);
        attention_[device] = {.settled = true};
    }
    rollback_.undo(std::move(devices));
}

void Keeper::tick(Clock::time_point now) {
    if (const auto left = rollback_.left(now); left && left->count() == 0) {
        tell_({.priority = Priority::warning,
               .type = "rolled-back",
               .text = "nobody has confirmed the last apply: it is undone"});
        undo();
    }
    if (filters_.has_recovered())
        ask_plugins_again();
    for (const auto& [device, declaration] : declarations_) {
        const auto found = attention_.find(device);
        if (found != attention_.end() && found->second.failures > 0 && found->second.next <= now)
            attend(device);
    }
}

// --- what is asked for ---

ApplyOptions Keeper::options_of(const ApplyRequest& request) const {
    return {.prune = [this, &request](const std::string& filter) {
        if (request.named.contains(filter))
            return Prune::goes;
        if (!request.prune)
            return Prune::stays;
        return filters_.keeps_history(filter) ? Prune::asks : Prune::goes;
    }};
}

std::vector<Report> Keeper::apply_all(const ApplyRequest& request, bool only_plan) {
    auto options = options_of(request);
    options.only_plan = only_plan;
    std::vector<Report> reports;
    const auto devices = concerned();
    for (const auto& device : devices) {
        if (request.progress)
            request.progress(reports.size(), devices.size(), name_of(device));
        reports.push_back(apply_to(device, options));
        if (!only_plan && declaration_of(device))
            note(reports.back());
    }
    return reports;
}

Result<std::vector<Report>> Keeper::plan(const ApplyRequest& request) {
    const auto complaints = complaints_;
    auto desired = load();
    if (!desired) {
        const auto error = Error{.code = EINVAL, .message = fmt::format("{}", fmt::join(complaints_, "\n"))};
        complaints_ = complaints;
        return std::unexpected(error);
    }
    // The plan is of the files as they are, and what holds stays as it is.
    std::swap(desired_, *desired);
    fit_all();
    auto reports = apply_all(request, true);
    std::swap(desired_, *desired);
    fit_all();
    return reports;
}

Result<std::vector<Report>> Keeper::apply(const ApplyRequest& request) {
    if (rollback_.is_pending())
        return std::unexpected(Error{
            .code = EBUSY,
            .message = "the last apply is not confirmed yet: 'filterctl confirm' or 'filterctl rollback'"});
    auto desired = load();
    if (!desired)
        return std::unexpected(
            Error{.code = EINVAL, .message = fmt::format("{}", fmt::join(complaints_, "\n"))});
    adopt(std::move(*desired));
    rollback_.leave_none_alone();
    if (request.rollback_after)
        rollback_.begin(Clock::now() + *request.rollback_after);
    return apply_all(request, false);
}

Result<void> Keeper::confirm() {
    if (!rollback_.is_pending())
        return std::unexpected(Error{.code = ENOENT, .message = "nothing waits to be confirmed"});
    rollback_.confirm();
    return {};
}

Result<void> Keeper::roll_back() {
    if (!rollback_.is_pending())
        return std::unexpected(Error{.code = ENOENT, .message = "nothing waits to be rolled back"});
    undo();
    return {};
}

} // namespace filterd
