// SPDX-License-Identifier: MIT
/// @file
/// Filters as their plugins know them: each plugin on a thread of its own, with a deadline for each call.
#pragma once

#include "daemon/filters.hpp"
#include "daemon/modules.hpp"
#include "daemon/notice.hpp"
#include "engine/engine.hpp"
#include "plugin/command_call.hpp"
#include "plugin/library.hpp"
#include "plugin/worker.hpp"

#include <filesystem>
#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>

namespace filterd::plugin {

/// Where plugins are, and what is known of them.
struct PluginFiles {
    std::filesystem::path folder{};
    bool trusted{true};              ///< they must belong to root
    std::filesystem::path crashes{}; ///< notes of what has crashed (crash.hpp); empty: none
};

/// A plugin that the configuration names is loaded when its filter is first asked about. What Filters has is
/// for one thread; the rest may be called by any.
class Managed final : public Filters {
public:
    Managed(PluginFiles files, Engine& engine, Modules& modules, Tell tell);

    // --- Filters ---

    std::optional<blkfilter::Bytes> options(const config::Filter& filter,
                                            config::Diagnostics& diagnostics) override;
    blkfilter::Result<void> make_usable(const std::string& filter) override;
    bool has_recovered() override;
    std::string describe(const std::string& filter, const blkfilter::Bytes& options) override;
    bool keeps_history(const std::string& filter) override;
    void attached(const std::string& filter, const blkfilter::DeviceId& device,
                  const std::map<std::string, std::string>& keys) override;
    nlohmann::json status(const std::string& filter, const blkfilter::DeviceId& device) override;

    // --- for any thread ---

    /// What the control socket's "plugins" shows.
    [[nodiscard]] nlohmann::json describe_plugins() const;

    /// The plugin of a filter cannot be used: why. Nothing: it can.
    [[nodiscard]] std::optional<std::string> trouble(const std::string& filter) const;

    /// A call of a plugin's command.
    struct Request {
        std::string noun{};
        std::string command{};
        std::optional<blkfilter::DeviceId> device{};
        std::string device_name{};
        /// Of a command about several: CommandCall::Input.
        std::vector<CommandCall::Input::Device> devices{};
        std::map<std::string, std::string> settings{};
        nlohmann::json arguments = nlohmann::json::object();
        std::optional<std::string> cursor{};
        std::function<void(std::uint32_t thousandths, const std::string& text)> progress{};
    };
    using Answer = std::function<void(blkfilter::Result<nlohmann::json>)>;

    /// The command is one that may last (FILTERD_JOB). False as well when there is none.
    [[nodiscard]] bool is_job(const std::string& noun, const std::string& command) const;

    /// Runs a command on its plugin's thread; @p answer is called once, by whatever thread.
    void command(const Request& request, const Answer& answer);

    /// What an event of a filter means; null when its plugin does not say.
    void event(const std::string& filter, const blkfilter::DeviceId& device, std::uint64_t value,
               std::span<const std::byte> data, const std::function<void(nlohmann::json)>& answer);

    /// To be called every second or so: ends calls that are late.
    void expire();

    /// A plugin that was left out gets another chance at the next start. ENOENT: there is no such plugin.
    blkfilter::Result<void> reset(const std::string& plugin);

private:
    struct Plugin {
        explicit Plugin(const std::string& name) : worker{name}, jobs{name} {}

        Worker worker;
        Worker jobs; ///< of commands that may last
        std::list<std::shared_ptr<Worker>>
            beside;                           ///< one for each that may run beside these; the table's lock
        std::unique_ptr<const Loaded> loaded; ///< set before it is in the table
        std::string why;                      ///< it cannot be used; empty: it can
        bool hung{};                          ///< it was when something was asked that all depends on
    };
    using PluginPointer = std::shared_ptr<Plugin>;

    PluginPointer of_filter(const std::string& filter);
    PluginPointer load(const std::string& filter);
    [[nodiscard]] PluginPointer find(const std::string& filter) const;
    [[nodiscard]] PluginPointer of_noun(const std::string& noun) const;
    [[nodiscard]] std::string why_not(Plugin& plugin) const;
    std::shared_ptr<Worker> worker_of(const PluginPointer& plugin, const filterd_command& command);
    std::shared_ptr<CommandCall> make_call(const std::string& filter, const blkfilter::DeviceId* device,
                                           CommandCall::Input input) const;

    PluginFiles files_;
    Engine& engine_;
    Modules& modules_;
    Tell tell_;
    mutable std::mutex mutex_;                     ///< of plugins_; nothing is waited for under it
    std::map<std::string, PluginPointer> plugins_; ///< by filter
};

} // namespace filterd::plugin
