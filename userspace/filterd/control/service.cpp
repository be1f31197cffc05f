// SPDX-License-Identifier: MIT
#include "control/service.hpp"

#include <blkfilter-common/version.hpp>

#include <fmt/format.h>
#include <grp.h>
#include <unistd.h>

namespace filterd::control {

using blkfilter::DeviceId;
using blkfilter::Error;
using blkfilter::Event;
using blkfilter::EventType;
using blkfilter::Result;
using nlohmann::json;
namespace common = blkfilter::common;

namespace {

constexpr std::chrono::milliseconds tick_period{1000};
/// So long a client waits for fresh numbers; then he gets the last ones.
constexpr std::chrono::milliseconds patience{400};

std::optional<gid_t> group_of(const std::optional<std::string>& name) {
    const auto* group = name ? getgrnam(name->c_str()) : nullptr;
    return group ? std::optional{group->gr_gid} : std::nullopt;
}

std::string text_of(const Event& event) {
    auto text = std::string{to_string(event.type)};
    if (!event.name.empty())
        text += fmt::format(" {}", event.name);
    if (event.reason != blkfilter::Reason::none)
        text += fmt::format(": {}", to_string(event.reason));
    if (!event.process.empty())
        text += fmt::format(", by {}[{}]", event.process, event.pid);
    return text;
}

} // namespace

// --- answers ---

void Service::Ask::reply(const json& result) const {
    if (const auto client = session.lock())
        client->reply(request.id, result);
}

void Service::Ask::refuse(const Error& error, const json& details) const {
    if (const auto client = session.lock())
        client->refuse(request.id, error, details);
}

void Service::Ask::answer(const Result<json>& result) const {
    if (result)
        reply(*result);
    else
        refuse(result.error());
}

// --- the threads ---

Service::Service(Parts parts)
    : loop_{parts.loop}, engine_{parts.engine}, filters_{parts.filters}, log_{std::move(parts.log)},
      keeper_{parts.engine, parts.filters, std::move(parts.config), std::move(parts.state),
              [this](const Notice& notice) { tell(notice); }},
      server_{loop_, std::move(parts.socket), common::version,
              [this](const std::shared_ptr<Session>& session, const Request& request) {
                  handle(session, request);
              }} {
    timer_ = loop_.every(tick_period, [this] { tick(); });
}

/// On the keeper's thread. Whatever is thrown there ends that task, not the daemon.
void Service::keep(std::function<void()> task) {
    thread_.post([this, task = std::move(task)] {
        try {
            task();
        } catch (const std::exception& error) {
            tell({.priority = Priority::error, .type = "failed", .text = error.what()});
        }
    });
}

void Service::keep_then(std::function<void()> task, std::function<void()> next) {
    keep(std::move(task));
    thread_.post([this, next = std::move(next)] { loop_.post(next); });
}

/// Whoever asks how things are meanwhile does not wait until all devices are as declared.
void Service::begin(device::Devices devices, const std::function<void()>& ready) {
    keep([this, devices = std::move(devices)]() mutable { keeper_.begin(std::move(devices)); });
    const auto read = [this] { keeper_.read_files(); };
    const auto attend = [this] { keeper_.attend_all(); };
    loop_.post([=, this] {
        refresh();
        keep_then(read, [=, this] {
            refresh();
            keep_then(attend, [=, this] {
                refresh();
                ready();
            });
        });
    });
}

void Service::reload(std::function<void()> done) {
    keep_then([this] { keeper_.reload(); }, std::move(done));
}

void Service::appeared(const device::Facts& facts) {
    keep([this, facts] { keeper_.appeared(facts); });
}

void Service::gone(const DeviceId& device) {
    keep([this, device] { keeper_.gone(device); });
}

void Service::tick() {
    filters_.expire();
    if (thread_.is_idle())
        keep([this] { keeper_.tick(); });
}

void Service::look_again() {
    keep([this] { keeper_.look_again(); });
}

void Service::heard(const Event& event) {
    Notice notice{.priority = Priority::debug, .type = "kernel", .text = text_of(event), .filter = {}};
    if (event.device)
        notice.device = blkfilter::device_name(*event.device);
    switch (event.type) {
    case EventType::lost:
    case EventType::registered:
        look_again();
        break;
    case EventType::attached:
    case EventType::detached:
    case EventType::filter:
        notice.filter = event.name;
        break;
    case EventType::stack:
        if (event.device)
            keep([this, device = *event.device] { keeper_.stack_changed(device); });
        break;
    case EventType::hook_lost:
        notice.priority = Priority::error;
        break;
    default:
        break;
    }
    if (event.type == EventType::filter && event.device)
        filters_.event(event.name, *event.device, event.value, event.data,
                       [this, notice](const json& meaning) {
                           auto told = notice;
                           if (!meaning.is_null())
                               told.text = fmt::format("{}: {}", notice.filter, meaning.dump());
                           tell(told);
                       });
    else
        tell(notice);
}

void Service::tell(const Notice& notice) {
    log_(notice);
    loop_.post([this, notice] { broadcast(notice); });
}

void Service::broadcast(const Notice& notice) {
    json event{
        {"time", to_text(std::chrono::system_clock::now())}, {"type", notice.type}, {"text", notice.text}};
    if (!notice.device.empty())
        event["device"] = notice.device;
    if (!notice.filter.empty())
        event["filter"] = notice.filter;
    server_.broadcast(event);
}

// --- snapshots ---

/// One at a time, for all who wait.
void Service::refresh() {
    if (refreshing_)
        return;
    refreshing_ = true;
    keep([this] {
        auto snapshot = std::make_shared<Snapshot>(take_snapshot(keeper_, engine_, filters_));
        const auto group = group_of(keeper_.desired().config.control_group);
        loop_.post([this, snapshot, group] {
            snapshot_ = std::move(*snapshot);
            control_group_ = group;
            refreshing_ = false;
            answer_waiting();
        });
    });
}

json Service::part_of_snapshot(const std::string& method) const {
    if (method == "devices")
        return {{"devices", snapshot_.devices}};
    if (method == "filters")
        return {{"filters", snapshot_.filters}};
    auto status = snapshot_.status;
    const auto age =
        std::chrono::ceil<std::chrono::seconds>(std::chrono::steady_clock::now() - snapshot_.begun);
    status["service"] = {{"version", common::version},
                         {"pid", getpid()},
                         {"started", to_text(started_)},
                         {"age_seconds", age.count()}};
    status["plugins"] = json::array();
    for (const auto& plugin : filters_.describe_plugins())
        status["plugins"].push_back(
            {{"name", plugin.at("name")}, {"state", plugin.at("state")}, {"why", plugin.at("why")}});
    return status;
}

void Service::answer_waiting() {
    if (snapshot_.status.is_null())
        return; // the first one does not take long: it is of the kernel alone
    patience_.reset();
    std::map<std::string, json> parts;
    for (const auto& ask : std::exchange(waiting_, {})) {
        const auto [part, is_new] = parts.try_emplace(ask.request.method);
        if (is_new)
            part->second = part_of_snapshot(ask.request.method);
        ask.reply(part->second);
    }
}

void Service::from_snapshot(const Ask& ask) {
    waiting_.push_back(ask);
    if (!patience_)
        patience_ = loop_.every(patience, [this] { loop_.post([this] { answer_waiting(); }); });
    refresh();
}

// --- jobs ---

void Service::start_job(const Ask& ask, std::string what, Work work) {
    const auto job = jobs_.begin(std::move(what));
    const auto progress = [this, ask, job](std::uint32_t thousandths, const std::string& text) {
        loop_.post([=, this] {
            jobs_.progress(job, thousandths, text);
            if (const auto client = ask.session.lock())
                client->progress(ask.request.id,
                                 {{"job", job}, {"thousandths", thousandths}, {"text", text}});
        });
    };
    thread_.post([=, this, work = std::move(work)] {
        Result<json> result;
        try {
            result = work(progress);
        } catch (const std::exception& error) {
            result = std::unexpected(Error{.code = EIO, .message = error.what()});
        }
        loop_.post([=, this] { end_job(ask, job, result); });
    });
}

void Service::end_job(const Ask& ask, std::uint64_t job, const Result<json>& result) {
    jobs_.end(job, result);
    // Done, but not all of it: what was done is the details of an error.
    if (result && result->contains("incomplete")) {
        auto details = *result;
        details.erase("incomplete");
        ask.refuse({.code = EINPROGRESS, .message = result->at("incomplete")}, details);
    } else {
        ask.answer(result);
    }
    refresh();
}

} // namespace filterd::control
