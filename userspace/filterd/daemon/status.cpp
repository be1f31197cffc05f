// SPDX-License-Identifier: MIT
#include "daemon/status.hpp"

#include "control/jobs.hpp"

#include <algorithm>
#include <fmt/format.h>

namespace filterd {

using blkfilter::DeviceId;
using blkfilter::Group;
using nlohmann::json;

namespace {

json steps_of(const Plan& plan) {
    auto list = json::array();
    for (const auto& step : plan.steps)
        list.push_back({{"kind", to_string(step.kind)}, {"filter", step.filter}, {"text", step.text}});
    return list;
}

/// Makes one snapshot.
class Photographer {
public:
    Photographer(const Keeper& keeper, Engine& engine, Filters& filters)
        : keeper_{keeper}, engine_{engine}, filters_{filters} {}

    Snapshot take() {
        Snapshot snapshot;
        snapshot.status["kernel"] = kernel();
        const auto& loaded = keeper_.desired().loaded;
        snapshot.status["config"] = {{"files", keeper_.desired().files},
                                     {"loaded", loaded ? json(control::to_text(*loaded)) : json{}},
                                     {"errors", keeper_.complaints()}};
        snapshot.status["devices"] = declared();
        snapshot.status["groups"] = groups();
        snapshot.status["others"] = others();
        const auto left = keeper_.rollback().left();
        snapshot.status["rollback"] = left ? json{{"seconds", left->count()}} : json{};
        snapshot.devices = all_devices();
        snapshot.filters = registered();
        return snapshot;
    }

private:
    json kernel() const {
        const auto version = engine_.version();
        if (!version)
            return {{"interface", nullptr}, {"hook_active", false}, {"error", version.error().message}};
        return {{"interface", version->interface}, {"hook_active", version->hook_active}, {"error", nullptr}};
    }

    json filter(const DeviceId& device, const blkfilter::StackEntry& entry, std::span<const Wanted> wanted) {
        const auto& seen = entry.statistics;
        auto ownership = ownership_of(entry, wanted);
        // Before the files are read nobody knows that none declares it.
        if (ownership == Ownership::orphaned && !keeper_.desired().loaded)
            ownership = Ownership::declared;
        return {{"filter", entry.name},
                {"altitude", entry.altitude.to_string()},
                {"ownership", to_string(ownership)},
                {"options", filters_.describe(entry.name, entry.options)},
                {"state", entry.state},
                {"from_first_bio", entry.from_first_bio},
                {"read", seen.bios_of(Group::read)},
                {"write", seen.bios_of(Group::write)},
                {"status", filters_.status(entry.name, device)}};
    }

    json stack(const DeviceId& device, std::span<const Wanted> wanted) {
        auto list = json::array();
        if (const auto present = engine_.stack(device))
            for (const auto& entry : present->entries)
                list.push_back(filter(device, entry, wanted));
        return list;
    }

    /// A device that is there; its plan says how it differs, in @p state.
    json present(const DeviceId& device, std::size_t declaration, std::string& state) {
        const auto plan = keeper_.plan_of(device);
        json about{{"device", keeper_.name_of(device)},
                   {"number", device.number()},
                   {"steps", plan ? steps_of(*plan) : json::array()},
                   {"error", plan ? json{} : json(plan.error().message)},
                   {"stack", stack(device, keeper_.desired().wanted[declaration])}};
        if (!plan || plan->is_blocked())
            state = "blocked";
        else if (plan->changes() && state != "blocked")
            state = "drift";
        return about;
    }

    json declared() {
        auto list = json::array();
        const auto& devices = keeper_.desired().config.devices;
        for (std::size_t i = 0; i < devices.size(); ++i) {
            const auto& meaning = keeper_.meanings()[i];
            std::string state = meaning.state == device::Meaning::State::absent      ? "pending"
                                : meaning.state == device::Meaning::State::ambiguous ? "ambiguous"
                                                                                     : "in sync";
            auto there = json::array();
            for (const auto& device : meaning.devices)
                if (meaning.state == device::Meaning::State::present)
                    there.push_back(present(device, i, state));
            list.push_back({{"name", devices[i].name},
                            {"state", state},
                            {"why", meaning.why.empty() ? json{} : json(meaning.why)},
                            {"coverage", keeper_.covers()[i]},
                            {"present", std::move(there)}});
        }
        return list;
    }

    json groups() const {
        auto list = json::array();
        for (const auto& group : keeper_.desired().config.groups)
            list.push_back({{"name", group.name}, {"devices", group.devices}});
        return list;
    }

    json others() {
        auto list = json::array();
        if (const auto filtered = engine_.devices())
            for (const auto& device : *filtered)
                if (!keeper_.declaration_of(device))
                    list.push_back({{"device", keeper_.name_of(device)},
                                    {"number", device.number()},
                                    {"stack", stack(device, {})}});
        return list;
    }

    json all_devices() const {
        auto list = json::array();
        for (const auto& [id, facts] : keeper_.devices()) {
            auto names = json::array();
            std::string why;
            for (std::size_t i = 0; i < keeper_.meanings().size(); ++i)
                if (const auto& meaning = keeper_.meanings()[i];
                    std::ranges::find(meaning.devices, id) != meaning.devices.end()) {
                    names.push_back(keeper_.desired().config.devices[i].name);
                    why = meaning.why;
                }
            list.push_back({{"device", facts.name},
                            {"number", id.number()},
                            {"links", facts.links},
                            {"declared", std::move(names)},
                            {"why", why.empty() ? json{} : json(why)}});
        }
        return list;
    }

    json registered() const {
        auto list = json::array();
        if (const auto filters = engine_.filters())
            for (const auto& filter : *filters)
                list.push_back({{"name", filter.name},
                                {"module", filter.module},
                                {"altitude", filter.default_altitude.to_string()},
                                {"devices", filter.instances},
                                {"needs_points", filter.needs_points}});
        return list;
    }

    const Keeper& keeper_;
    Engine& engine_;
    Filters& filters_;
};

json side(const blkfilter::Altitude& altitude, const std::string& options) {
    return {{"altitude", altitude.to_string()}, {"options", options}};
}

} // namespace

Snapshot take_snapshot(const Keeper& keeper, Engine& engine, Filters& filters) {
    return Photographer{keeper, engine, filters}.take();
}

json to_json(std::span<const Report> reports) {
    auto list = json::array();
    bool changed = false;
    for (const auto& report : reports) {
        changed |= report.changed;
        list.push_back({{"name", report.name.empty() ? json{} : json(report.name)},
                        {"device", report.device},
                        {"steps", steps_of(report.plan)},
                        {"error", report.error ? json(report.error->message) : json{}}});
    }
    return {{"plan", std::move(list)}, {"changed", changed}};
}

json diff_of(std::span<const Report> reports, Engine& engine, Filters& filters) {
    auto list = json::array();
    for (const auto& report : reports) {
        const auto present = engine.stack(report.id);
        auto differing = json::array();
        const auto add = [&](const std::string& name, json kernel, json file) {
            if (kernel != file)
                differing.push_back(
                    {{"filter", name}, {"kernel", std::move(kernel)}, {"file", std::move(file)}});
        };
        const auto& planned = report.plan.entries;
        for (const auto& entry : present ? present->entries : std::vector<blkfilter::StackEntry>{}) {
            const auto stays = std::ranges::find(planned, entry.name, &blkfilter::EntryRequest::name);
            add(entry.name, side(entry.altitude, filters.describe(entry.name, entry.options)),
                stays == planned.end() ? json{}
                                       : side(stays->altitude.value_or(entry.altitude),
                                              filters.describe(stays->name, stays->options)));
        }
        for (const auto& entry : planned)
            if (present && entry.altitude &&
                std::ranges::find(present->entries, entry.name, &blkfilter::StackEntry::name) ==
                    present->entries.end())
                add(entry.name, nullptr, side(*entry.altitude, filters.describe(entry.name, entry.options)));
        list.push_back({{"name", report.name.empty() ? json{} : json(report.name)},
                        {"device", report.device},
                        {"filters", std::move(differing)}});
    }
    return {{"diff", std::move(list)}};
}

} // namespace filterd
