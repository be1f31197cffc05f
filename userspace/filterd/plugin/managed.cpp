// SPDX-License-Identifier: MIT
#include "plugin/managed.hpp"

#include "plugin/commands.hpp"
#include "plugin/crash.hpp"

#include <algorithm>
#include <cerrno>
#include <fmt/format.h>

namespace filterd::plugin {

using blkfilter::DeviceId;
using blkfilter::Error;
using blkfilter::Result;
using nlohmann::json;

namespace {

constexpr std::chrono::seconds deadline{FILTERD_DEADLINE_SECONDS};
/// Of what is nice to have: the status must come all the same.
constexpr std::chrono::milliseconds deadline_of_status{300};

std::unexpected<Error> failure(int code, std::string message) {
    return std::unexpected(Error{.code = code, .message = std::move(message)});
}

std::string noun_of(const filterd_plugin& plugin) {
    return plugin.noun ? plugin.noun : plugin.filter;
}

std::string text_of_hang(const std::string& task) {
    return fmt::format("its plugin does not respond: '{}' has not returned", task);
}

/// Null when there is none.
const filterd_command* find_command(const filterd_plugin& plugin, const std::string& name) {
    const auto commands = commands_of(plugin);
    const auto found = std::ranges::find_if(commands, [&](const auto* one) { return name == one->name; });
    return found == commands.end() ? nullptr : *found;
}

} // namespace

Managed::Managed(PluginFiles files, Engine& engine, Modules& modules, Tell tell)
    : files_{std::move(files)}, engine_{engine}, modules_{modules}, tell_{std::move(tell)} {}

// --- the table ---

Managed::PluginPointer Managed::find(const std::string& filter) const {
    const std::scoped_lock lock{mutex_};
    const auto found = plugins_.find(filter);
    return found == plugins_.end() ? nullptr : found->second;
}

Managed::PluginPointer Managed::of_noun(const std::string& noun) const {
    const std::scoped_lock lock{mutex_};
    const auto found = std::ranges::find_if(plugins_, [&](const auto& entry) {
        const auto& plugin = *entry.second;
        return plugin.loaded && plugin.why.empty() && noun_of(plugin.loaded->plugin()) == noun;
    });
    return found == plugins_.end() ? nullptr : found->second;
}

/// On the plugin's thread: its constructors run there.
Managed::PluginPointer Managed::load(const std::string& filter) {
    const auto plugin = std::make_shared<Plugin>(filter);
    const auto file = files_.folder / fmt::format("filterd-{}.so", filter);
    if (!files_.crashes.empty() && crashes(files_.crashes)[filter] >= most_crashes) {
        plugin->why =
            fmt::format("it has crashed filterd {} times and is left out: filterctl plugin reset {}, then "
                        "start filterd anew",
                        most_crashes, filter);
        return plugin;
    }
    const auto result = std::make_shared<Result<Loaded>>(failure(EIO, ""));
    const bool done = plugin->worker.call(
        "load", [=, trusted = files_.trusted] { *result = Loaded::load(file, trusted); }, deadline);
    if (!done)
        plugin->why = fmt::format("{}: does not respond when it is loaded", file.string());
    else if (!*result)
        plugin->why = result->error().message;
    else if ((*result)->plugin().filter != filter)
        plugin->why = fmt::format("{}: is for the filter '{}'", file.string(), (*result)->plugin().filter);
    else
        plugin->loaded = std::make_unique<const Loaded>(**result);
    if (plugin->loaded)
        if (const auto noun = noun_of(plugin->loaded->plugin()); const auto other = of_noun(noun))
            plugin->why =
                fmt::format("its noun '{}' is that of the plugin '{}'", noun, other->loaded->plugin().name);
    return plugin;
}

Managed::PluginPointer Managed::of_filter(const std::string& filter) {
    if (auto known = find(filter))
        return known;
    auto plugin = load(filter);
    if (!plugin->why.empty())
        tell_({.priority = Priority::error, .type = "plugin", .text = plugin->why, .filter = filter});
    const std::scoped_lock lock{mutex_};
    return plugins_.emplace(filter, std::move(plugin)).first->second;
}

std::string Managed::why_not(Plugin& plugin) const {
    if (!plugin.why.empty())
        return plugin.why;
    const auto hangs = plugin.worker.hangs_in();
    return hangs ? text_of_hang(*hangs) : std::string{};
}

std::optional<std::string> Managed::trouble(const std::string& filter) const {
    const auto plugin = find(filter);
    auto why = plugin ? why_not(*plugin) : std::string{};
    return why.empty() ? std::nullopt : std::optional{std::move(why)};
}

// --- Filters ---

std::optional<blkfilter::Bytes> Managed::options(const config::Filter& filter,
                                                 config::Diagnostics& diagnostics) {
    struct Context {
        config::Filter filter;
        config::Diagnostics diagnostics;
        std::optional<std::string> options;
    };
    const auto plugin = of_filter(filter.name);
    if (!plugin->loaded || !plugin->why.empty())
        return {};
    const auto context = std::make_shared<Context>(Context{filter, {}, {}});
    const bool done = plugin->worker.call(
        "options", [=] { context->options = plugin->loaded->options(context->filter, context->diagnostics); },
        deadline);
    plugin->hung = !done;
    if (!done) {
        tell_({.priority = Priority::error,
               .type = "plugin",
               .text = "its plugin does not respond when it is asked for options",
               .filter = filter.name});
        return {};
    }
    diagnostics.append(context->diagnostics);
    return context->options.transform([](const std::string& text) { return blkfilter::to_bytes(text); });
}

Result<void> Managed::make_usable(const std::string& filter) {
    const auto plugin = of_filter(filter);
    if (auto why = why_not(*plugin); !why.empty())
        return failure(ENODEV, std::move(why));
    const auto& about = plugin->loaded->plugin();
    for (const auto* module : {"blkfilter", about.module})
        if (const auto loaded = modules_.load(module); !loaded)
            return loaded;
    const auto version = engine_.version();
    if (!version)
        return failure(version.error().code, version.error().message);
    if ((about.kernel_least != 0 && version->interface < about.kernel_least) ||
        (about.kernel_most != 0 && version->interface > about.kernel_most))
        return failure(
            EPROTONOSUPPORT,
            fmt::format("its plugin knows versions {} to {} of blkfilter's interface, and the kernel has {}",
                        about.kernel_least, about.kernel_most, version->interface));
    const auto why = std::make_shared<std::string>();
    if (!plugin->worker.call("probe", [=] { *why = plugin->loaded->probe(); }, deadline)) {
        plugin->hung = true;
        return failure(ETIMEDOUT, "its plugin does not respond when it is asked whether it can be used");
    }
    return why->empty() ? Result<void>{} : failure(ENODEV, *why);
}

bool Managed::has_recovered() {
    const std::scoped_lock lock{mutex_};
    bool recovered = false;
    for (const auto& [filter, plugin] : plugins_)
        if (plugin->hung && !plugin->worker.hangs_in()) {
            plugin->hung = false;
            recovered = true;
        }
    return recovered;
}

std::string Managed::describe(const std::string& filter, const blkfilter::Bytes& options) {
    const auto text = std::make_shared<std::string>();
    for (const auto byte : options)
        text->push_back(static_cast<char>(byte));
    const auto plugin = find(filter);
    if (plugin && plugin->loaded && plugin->loaded->plugin().describe) {
        const auto described = std::make_shared<std::string>();
        if (plugin->worker.call(
                "describe", [=] { *described = plugin->loaded->describe(*text); }, deadline_of_status))
            return *described;
    }
    const bool printable = std::ranges::all_of(*text, [](unsigned char c) { return c >= ' ' && c < 0x7f; });
    return printable ? *text : blkfilter::to_hex(options);
}

bool Managed::keeps_history(const std::string& filter) {
    const auto plugin = find(filter);
    return !plugin || !plugin->loaded || (plugin->loaded->plugin().flags & FILTERD_KEEPS_HISTORY) != 0;
}

std::shared_ptr<CommandCall> Managed::make_call(const std::string& filter, const DeviceId* device,
                                                CommandCall::Input input) const {
    if (device)
        input.control = [&engine = engine_, device = *device, filter](std::uint32_t number,
                                                                      std::span<std::byte> argument) {
            return engine.command(device, filter, number, argument);
        };
    return std::make_shared<CommandCall>(std::move(input));
}

void Managed::attached(const std::string& filter, const DeviceId& device,
                       const std::map<std::string, std::string>& keys) {
    const auto plugin = find(filter);
    if (!plugin || !plugin->loaded || !plugin->loaded->plugin().attached)
        return;
    std::map<std::string, std::string> settings;
    for (const auto& [key, value] : keys)
        settings.emplace("filter." + key, value);
    const auto call = make_call(filter, &device,
                                {.device = blkfilter::device_name(device), .settings = std::move(settings)});
    const auto returned = std::make_shared<int>();
    plugin->worker.post({.what = "attached",
                         .work = [=] { *returned = plugin->loaded->plugin().attached(call->handle()); },
                         .ended =
                             [=, this](bool done) {
                                 const auto result = done ? call->result(*returned)
                                                          : failure(ETIMEDOUT, "its plugin does not respond");
                                 if (!result)
                                     tell_({.priority = Priority::error,
                                            .type = "plugin",
                                            .text = result.error().message,
                                            .device = blkfilter::device_name(device),
                                            .filter = filter});
                             }},
                        Worker::Clock::now() + deadline);
}

json Managed::status(const std::string& filter, const DeviceId& device) {
    const auto plugin = find(filter);
    if (!plugin || !plugin->loaded || !plugin->loaded->plugin().status)
        return nullptr;
    const auto call = make_call(filter, &device, {.device = blkfilter::device_name(device)});
    const auto returned = std::make_shared<int>();
    if (!plugin->worker.call(
            "status", [=] { *returned = plugin->loaded->plugin().status(call->handle()); },
            deadline_of_status))
        return nullptr;
    const auto result = call->result(*returned);
    if (!result || !result->contains("records") || result->at("records").empty())
        return nullptr;
    return result->at("records").at(0);
}

// --- what is asked by others ---

json Managed::describe_plugins() const {
    auto list = json::array();
    const std::scoped_lock lock{mutex_};
    for (const auto& [filter, plugin] : plugins_) {
        const auto hangs = plugin->worker.hangs_in();
        json about{{"name", filter},
                   {"filter", filter},
                   {"state", !plugin->why.empty() ? "failed"
                             : hangs              ? "not responding"
                                                  : "ready"},
                   {"why", nullptr}};
        if (const auto why = why_not(*plugin); !why.empty())
            about["why"] = why;
        if (plugin->loaded) {
            const auto& loaded = plugin->loaded->plugin();
            about.update({{"version", loaded.version},
                          {"description", loaded.description},
                          {"module", loaded.module},
                          {"noun", noun_of(loaded)},
                          {"commands", json::array()}});
            for (const auto* command : commands_of(plugin->loaded->plugin()))
                about["commands"].push_back(describe_command(*command));
        }
        list.push_back(std::move(about));
    }
    return list;
}

bool Managed::is_job(const std::string& noun, const std::string& command) const {
    const auto plugin = of_noun(noun);
    const auto* found = plugin ? find_command(plugin->loaded->plugin(), command) : nullptr;
    return found && (found->flags & FILTERD_JOB) != 0;
}

/// The thread that a command runs on.
std::shared_ptr<Worker> Managed::worker_of(const PluginPointer& plugin, const filterd_command& command) {
    if ((command.flags & FILTERD_JOB) == 0)
        return {plugin, &plugin->worker};
    if ((command.flags & FILTERD_BESIDE) == 0)
        return {plugin, &plugin->jobs};
    const std::scoped_lock lock{mutex_};
    return plugin->beside.emplace_back(std::make_shared<Worker>(plugin->loaded->plugin().filter));
}

void Managed::command(const Request& request, const Answer& answer) {
    const auto plugin = of_noun(request.noun);
    if (!plugin)
        return answer(failure(
            ENOENT, fmt::format("no plugin that is loaded has the noun '{}': see filterctl plugin list",
                                request.noun)));
    const auto* command = find_command(plugin->loaded->plugin(), request.command);
    if (!command)
        return answer(
            failure(ENOENT, fmt::format("'{}' has no command '{}'", request.noun, request.command)));
    if ((command->flags & FILTERD_DEVICE) != 0 && !request.device)
        return answer(failure(EINVAL, fmt::format("'{}' needs a device", request.command)));
    auto arguments = check_arguments(*command, request.arguments);
    if (!arguments)
        return answer(std::unexpected(arguments.error()));
    if (request.cursor)
        arguments->emplace("cursor", *request.cursor);
    const bool is_job = (command->flags & FILTERD_JOB) != 0;
    const auto worker = worker_of(plugin, *command);
    if (const auto hangs = worker->hangs_in())
        return answer(failure(ETIMEDOUT, text_of_hang(*hangs)));
    const auto call = make_call(plugin->loaded->plugin().filter, request.device ? &*request.device : nullptr,
                                {.device = request.device_name,
                                 .devices = request.devices,
                                 .settings = request.settings,
                                 .arguments = std::move(*arguments),
                                 .progress = request.progress});
    const auto limit = is_job ? std::chrono::seconds{FILTERD_JOB_SECONDS} : deadline;
    const auto returned = std::make_shared<int>();
    worker->post({.what = fmt::format("command {}", request.command),
                  .work = [=] { *returned = command->run(call->handle()); },
                  .ended =
                      [=, name = request.command](bool done) {
                          answer(
                              done ? call->result(*returned)
                                   : failure(ETIMEDOUT, fmt::format("the plugin did not answer '{}' in {} s",
                                                                    name, limit.count())));
                      }},
                 Worker::Clock::now() + limit);
}

void Managed::event(const std::string& filter, const DeviceId& device, std::uint64_t value,
                    std::span<const std::byte> data, const std::function<void(json)>& answer) {
    const auto plugin = find(filter);
    if (!plugin || !plugin->loaded || !plugin->loaded->plugin().event)
        return answer(nullptr);
    const auto call = make_call(filter, &device, {.device = blkfilter::device_name(device)});
    const auto returned = std::make_shared<int>();
    const std::vector<std::byte> copy{data.begin(), data.end()};
    plugin->worker.post(
        {.what = "event",
         .work =
             [=] {
                 *returned = plugin->loaded->plugin().event(call->handle(), value, copy.data(), copy.size());
             },
         .ended =
             [=](bool done) {
                 const auto result = done ? call->result(*returned) : failure(ETIMEDOUT, "");
                 answer(result && result->contains("records") && !result->at("records").empty()
                            ? result->at("records").at(0)
                            : json{});
             }},
        Worker::Clock::now() + deadline);
}

void Managed::expire() {
    const std::scoped_lock lock{mutex_};
    for (const auto& [filter, plugin] : plugins_) {
        for (auto* worker : {&plugin->worker, &plugin->jobs})
            worker->expire();
        for (const auto& worker : plugin->beside)
            worker->expire();
        // One that is just being given its task has another owner.
        std::erase_if(plugin->beside,
                      [](const auto& worker) { return worker.use_count() == 1 && worker->is_idle(); });
    }
}

Result<void> Managed::reset(const std::string& plugin) {
    if (!find(plugin))
        return failure(ENOENT, fmt::format("there is no plugin '{}': see filterctl plugin list", plugin));
    if (!files_.crashes.empty())
        forget_crashes(files_.crashes, plugin);
    return {};
}

} // namespace filterd::plugin
