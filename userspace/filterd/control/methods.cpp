// SPDX-License-Identifier: MIT
/// @file
/// What clients may ask for: docs/control-protocol.md.
#include "control/service.hpp"
#include "daemon/settings.hpp"
#include "device/system.hpp"

#include <algorithm>
#include <cerrno>
#include <fmt/format.h>

namespace filterd::control {

using blkfilter::DeviceId;
using blkfilter::EntryRequest;
using blkfilter::Error;
using blkfilter::Result;
using blkfilter::Stack;
using nlohmann::json;

namespace {

std::unexpected<Error> failure(int code, std::string message) {
    return std::unexpected(Error{.code = code, .message = std::move(message)});
}

/// A parameter that must be there: EINVAL otherwise.
Result<std::string> text(const json& params, const char* name) {
    const auto found = params.find(name);
    if (found == params.end() || !found->is_string())
        return failure(EINVAL, fmt::format("'{}' must be given, a text", name));
    return found->get<std::string>();
}

bool flag(const json& params, const char* name) {
    const auto found = params.find(name);
    return found != params.end() && found->is_boolean() && found->get<bool>();
}

Result<ApplyRequest> apply_request(const json& params) {
    ApplyRequest request{.prune = flag(params, "prune")};
    if (const auto named = params.find("named"); named != params.end()) {
        if (!named->is_array() ||
            !std::ranges::all_of(*named, [](const json& name) { return name.is_string(); }))
            return failure(EINVAL, "'named' must be a list of filters");
        for (const auto& name : *named)
            request.named.insert(name.get<std::string>());
    }
    if (const auto seconds = params.find("rollback_after_seconds");
        seconds != params.end() && !seconds->is_null()) {
        constexpr std::uint64_t a_week = 604'800;
        if (!seconds->is_number_unsigned() || *seconds < 1U || *seconds > a_week)
            return failure(EINVAL, "'rollback_after_seconds' must be a number from 1 to 604800");
        request.rollback_after = std::chrono::seconds{seconds->get<std::uint64_t>()};
    }
    return request;
}

/// In the manner of a job's result: "incomplete" when something could not be done.
json outcome(const std::vector<Report>& reports) {
    auto result = to_json(reports);
    const auto left =
        std::ranges::count_if(reports, [](const Report& report) { return !report.is_complete(); });
    if (left > 0)
        result["incomplete"] = fmt::format("{} of {} devices are not as declared", left, reports.size());
    return result;
}

} // namespace

const std::map<std::string, Service::Method, std::less<>>& Service::methods() {
    static const std::map<std::string, Method, std::less<>> all{
        {"status", {false, &Service::from_snapshot}},
        {"devices", {false, &Service::from_snapshot}},
        {"filters", {false, &Service::from_snapshot}},
        {"plugins", {false, &Service::plugins}},
        {"jobs", {false, &Service::jobs}},
        {"job-show", {false, &Service::job_show}},
        {"watch", {false, &Service::watch}},
        {"plan", {true, &Service::plan}},
        {"diff", {true, &Service::diff}},
        {"apply", {true, &Service::apply}},
        {"confirm", {true, &Service::confirm}},
        {"rollback", {true, &Service::rollback}},
        {"group-point", {true, &Service::group_point}},
        {"stack-attach", {true, &Service::stack_attach}},
        {"stack-detach", {true, &Service::stack_detach}},
        {"command", {true, &Service::command}},
        {"plugin-reset", {true, &Service::plugin_reset}},
    };
    return all;
}

void Service::handle(const std::shared_ptr<Session>& session, const Request& request) {
    const Ask ask{session, request};
    const auto method = methods().find(request.method);
    if (method == methods().end())
        return ask.refuse(
            {.code = EINVAL, .message = fmt::format("there is no method '{}'", request.method)});
    if (method->second.changes && !session->peer().may_change(control_group_))
        return ask.refuse({.code = EACCES,
                           .message = fmt::format("'{}' is for root and for the group that 'control' of the "
                                                  "configuration names",
                                                  request.method)});
    (this->*method->second.run)(ask);
}

// --- what everybody may ask ---

void Service::plugins(const Ask& ask) {
    ask.reply({{"plugins", filters_.describe_plugins()}});
}

void Service::jobs(const Ask& ask) {
    ask.reply({{"jobs", jobs_.list()}});
}

void Service::job_show(const Ask& ask) {
    const auto job = ask.request.params.find("job");
    if (job == ask.request.params.end() || !job->is_number_unsigned())
        return ask.refuse({.code = EINVAL, .message = "'job' must be given, a number"});
    const auto number = job->get<std::uint64_t>();
    if (flag(ask.request.params, "wait"))
        jobs_.when_ended(number, [this, ask, number] { ask.answer(jobs_.show(number)); });
    else
        ask.answer(jobs_.show(number));
}

void Service::watch(const Ask& ask) {
    if (const auto session = ask.session.lock())
        session->watch(ask.request.id);
}

// --- the configuration ---

void Service::plan(const Ask& ask) {
    const auto request = apply_request(ask.request.params);
    if (!request)
        return ask.refuse(request.error());
    start_job(ask, "plan", [this, request](const auto&) -> Result<json> {
        const auto reports = keeper_.plan(*request);
        if (!reports)
            return std::unexpected(reports.error());
        return json{{"plan", to_json(*reports).at("plan")}};
    });
}

void Service::diff(const Ask& ask) {
    start_job(ask, "diff", [this](const auto&) -> Result<json> {
        const auto reports = keeper_.plan({.prune = true});
        if (!reports)
            return std::unexpected(reports.error());
        return diff_of(*reports, engine_, filters_);
    });
}

void Service::apply(const Ask& ask) {
    const auto request = apply_request(ask.request.params);
    if (!request)
        return ask.refuse(request.error());
    start_job(ask, "apply", [this, request](const auto& progress) -> Result<json> {
        auto wanted = *request;
        wanted.progress = [&](std::size_t done, std::size_t all, const std::string& device) {
            progress(static_cast<std::uint32_t>(done * 1000 / all), device);
        };
        const auto reports = keeper_.apply(wanted);
        if (!reports)
            return std::unexpected(reports.error());
        return outcome(*reports);
    });
}

void Service::confirm(const Ask& ask) {
    start_job(ask, "confirm", [this](const auto&) -> Result<json> {
        const auto done = keeper_.confirm();
        return done ? Result<json>{json::object()} : std::unexpected(done.error());
    });
}

void Service::rollback(const Ask& ask) {
    start_job(ask, "rollback", [this](const auto&) -> Result<json> {
        const auto done = keeper_.roll_back();
        return done ? Result<json>{json::object()} : std::unexpected(done.error());
    });
}

// --- devices ---

/// By its name in the configuration, the kernel's, or a path. On the keeper's thread.
Result<DeviceId> Service::find_device(const std::string& name) const {
    const auto& declared = keeper_.desired().config.devices;
    for (std::size_t i = 0; i < declared.size(); ++i)
        if (declared[i].name == name) {
            const auto& there = keeper_.meanings()[i].devices;
            if (there.size() == 1)
                return there.front();
            return failure(
                there.empty() ? ENODEV : EINVAL,
                fmt::format("'{}' is {}", name,
                            there.empty() ? "not there" : "several devices: name one by its path"));
        }
    for (const auto& [id, facts] : keeper_.devices())
        if (facts.name == name || std::ranges::find(facts.links, name) != facts.links.end())
            return id;
    return name.starts_with('/')
               ? DeviceId::from_path(name)
               : failure(ENODEV, fmt::format("there is no device '{}': see filterctl device list", name));
}

void Service::group_point(const Ask& ask) {
    const auto group = text(ask.request.params, "group");
    if (!group)
        return ask.refuse(group.error());
    start_job(ask, fmt::format("point of group {}", *group),
              [this, group](const auto&) { return take_point(*group); });
}

/// On the keeper's thread.
Result<const config::Group*> Service::find_group(const std::string& name) const {
    const auto& groups = keeper_.desired().config.groups;
    const auto group = std::ranges::find(groups, name, &config::Group::name);
    if (group == groups.end())
        return failure(ENOENT, fmt::format("there is no group '{}' in the configuration", name));
    return &*group;
}

Result<json> Service::take_point(const std::string& name) {
    const auto found = find_group(name);
    if (!found)
        return std::unexpected(found.error());
    const auto* group = *found;
    std::vector<DeviceId> devices;
    for (const auto& member : group->devices) {
        const auto device = find_device(member);
        if (!device)
            return std::unexpected(device.error());
        devices.push_back(*device);
    }
    devices = device::upper_first(std::move(devices));
    const auto point =
        engine_.point({.id = blkfilter::PointId::random(), .freeze = devices, .close = devices});
    if (!point)
        return std::unexpected(point.error());
    return json{{"point", point->id.to_string()},
                {"closed_ns", point->closed.count()},
                {"frozen_ns", point->frozen.count()}};
}

void Service::stack_attach(const Ask& ask) {
    start_job(ask, "stack attach",
              [this, params = ask.request.params](const auto&) { return attach(params); });
}

Result<json> Service::attach(const json& params) {
    const auto name = text(params, "device");
    const auto filter = text(params, "filter");
    if (!name || !filter)
        return std::unexpected(name ? filter.error() : name.error());
    const auto device = find_device(*name);
    if (!device)
        return std::unexpected(device.error());
    EntryRequest entry{.name = *filter, .owner = requested_tag};
    if (const auto given = params.find("altitude"); given != params.end() && given->is_string()) {
        const auto altitude = blkfilter::Altitude::parse(given->get<std::string>());
        if (!altitude)
            return std::unexpected(altitude.error());
        entry.altitude = *altitude;
    }
    if (const auto given = params.find("options"); given != params.end() && given->is_string())
        entry.options = blkfilter::to_bytes(given->get<std::string>());
    const auto present = engine_.stack(*device);
    if (!present)
        return std::unexpected(present.error());
    std::vector<EntryRequest> entries;
    for (const auto& there : present->entries) {
        if (there.name == *filter)
            return json{{"changed", false}};
        entries.push_back(request_of(there));
    }
    entries.push_back(std::move(entry));
    const auto done = engine_.set_stack(*device, entries, {.expected_generation = present->generation});
    return done ? Result<json>{json{{"changed", true}}} : std::unexpected(done.error());
}

void Service::stack_detach(const Ask& ask) {
    start_job(ask, "stack detach",
              [this, params = ask.request.params](const auto&) { return detach(params); });
}

Result<json> Service::detach(const json& params) {
    const auto name = text(params, "device");
    const auto filter = text(params, "filter");
    if (!name || !filter)
        return std::unexpected(name ? filter.error() : name.error());
    const auto device = find_device(*name);
    if (!device)
        return std::unexpected(device.error());
    const auto present = engine_.stack(*device);
    if (!present)
        return std::unexpected(present.error());
    const auto declaration = keeper_.declaration_of(*device);
    const auto wanted = declaration ? std::span<const Wanted>{keeper_.desired().wanted[*declaration]}
                                    : std::span<const Wanted>{};
    std::vector<EntryRequest> entries;
    for (const auto& there : present->entries) {
        if (there.name != *filter) {
            entries.push_back(request_of(there));
            continue;
        }
        const auto ownership = ownership_of(there, wanted);
        if (!flag(params, "force") && (ownership == Ownership::declared || ownership == Ownership::foreign))
            return failure(EPERM, fmt::format("'{}' is {}: --force detaches it all the same", *filter,
                                              ownership == Ownership::declared ? "what a file declares"
                                                                               : "somebody else's"));
    }
    if (entries.size() == present->entries.size())
        return failure(ENOENT, fmt::format("{} has no filter '{}'", *name, *filter));
    const auto done = engine_.set_stack(*device, entries, {.expected_generation = present->generation});
    return done ? Result<json>{json{{"changed", true}}} : std::unexpected(done.error());
}

// --- plugins ---

void Service::plugin_reset(const Ask& ask) {
    const auto plugin = text(ask.request.params, "plugin");
    const auto done = plugin ? filters_.reset(*plugin) : std::unexpected(plugin.error());
    ask.answer(done ? Result<json>{json::object()} : std::unexpected(done.error()));
}

/// What is said of the devices of a command, checked: a list of names, or a group.
Result<void> Service::add_devices(const json& params, plugin::Managed::Request& request) const {
    std::vector<std::string> names;
    const config::Group* group = nullptr;
    if (const auto given = params.find("group"); given != params.end()) {
        const auto found = given->is_string() ? find_group(given->get<std::string>())
                                              : failure(EINVAL, "'group' must be a text");
        if (!found)
            return std::unexpected(found.error());
        group = *found;
        names = group->devices;
    }
    if (const auto given = params.find("devices"); given != params.end()) {
        if (!given->is_array() || !std::ranges::all_of(*given, &json::is_string))
            return failure(EINVAL, "'devices' must be a list of texts");
        for (const auto& name : *given)
            names.push_back(name.get<std::string>());
    }
    for (const auto& name : names) {
        const auto device = find_device(name);
        if (!device)
            return std::unexpected(device.error());
        const auto declaration = keeper_.declaration_of(*device);
        const auto kernel_name = keeper_.name_of(*device);
        // Of a declaration that means many devices each has the name that find_device() takes.
        const bool is_alone = declaration && keeper_.meanings()[*declaration].devices.size() == 1;
        request.devices.push_back(
            {.name = kernel_name,
             .declared = is_alone ? keeper_.desired().config.devices[*declaration].name : kernel_name});
    }
    request.settings = settings_of(keeper_.desired().config, group);
    return {};
}

/// The answer, and how far the command has come, to whoever has asked; of what may last also to the jobs.
void Service::send_command(const Ask& ask, plugin::Managed::Request request) {
    const auto job = filters_.is_job(request.noun, request.command)
                         ? jobs_.begin(fmt::format("{} {}", request.noun, request.command))
                         : 0;
    request.progress = [this, ask, job](std::uint32_t thousandths, const std::string& text) {
        loop_.post([=, this] {
            json progress{{"thousandths", thousandths}, {"text", text}};
            if (job != 0) {
                jobs_.progress(job, thousandths, text);
                progress["job"] = job;
            }
            if (const auto client = ask.session.lock())
                client->progress(ask.request.id, progress);
        });
    };
    const auto answer = [this, ask, job](const Result<json>& result) {
        loop_.post([=, this] {
            if (job != 0)
                jobs_.end(job, result);
            ask.answer(result);
        });
    };
    const auto& given = ask.request.params;
    if (!given.contains("device") && !given.contains("devices") && !given.contains("group"))
        return filters_.command(request, answer);
    keep([this, request, answer, params = given]() mutable {
        if (const auto device = params.find("device"); device != params.end() && device->is_string()) {
            const auto found = find_device(device->get<std::string>());
            if (!found)
                return answer(std::unexpected(found.error()));
            request.device = *found;
            request.device_name = keeper_.name_of(*found);
        }
        if (const auto added = add_devices(params, request); !added)
            return answer(std::unexpected(added.error()));
        filters_.command(request, answer);
    });
}

/// The keeper knows the devices; the plugin's own thread does the rest.
void Service::command(const Ask& ask) {
    const auto& params = ask.request.params;
    const auto noun = text(params, "noun");
    const auto name = text(params, "command");
    const auto arguments = params.find("arguments");
    if (!noun || !name || (arguments != params.end() && !arguments->is_object()))
        return ask.refuse(
            {.code = EINVAL, .message = "'noun' and 'command' must be texts, 'arguments' an object"});
    plugin::Managed::Request request{.noun = *noun, .command = *name};
    if (arguments != params.end())
        request.arguments = *arguments;
    if (const auto cursor = params.find("cursor"); cursor != params.end() && cursor->is_string())
        request.cursor = cursor->get<std::string>();
    send_command(ask, std::move(request));
}

} // namespace filterd::control
