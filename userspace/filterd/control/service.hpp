// SPDX-License-Identifier: MIT
/// @file
/// The daemon: the loop's thread answers and listens, the keeper's thread works, each plugin has its own.
#pragma once

#include "control/jobs.hpp"
#include "control/loop.hpp"
#include "control/server.hpp"
#include "control/task_thread.hpp"
#include "daemon/keeper.hpp"
#include "daemon/status.hpp"
#include "plugin/managed.hpp"

#include <blkfilter/events.hpp>

#include <chrono>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace filterd::control {

/// What a service is made of.
struct Parts {
    Loop& loop;
    Engine& engine;
    plugin::Managed& filters;
    ConfigFiles config{};
    StateFiles state{};
    std::filesystem::path socket{};
    Tell log{}; ///< from any thread
};

/// For the loop's thread. Nothing that it does waits: "status" is answered within a second whatever the
/// kernel, a plugin or a client does.
class Service {
public:
    explicit Service(Parts parts);
    Service(const Service&) = delete;
    Service& operator=(const Service&) = delete;

    /// Reads the files; then calls @p done.
    void reload(std::function<void()> done);

    // --- from any thread ---

    /// Makes all devices as declared; then calls @p ready, on the loop's thread.
    void begin(device::Devices devices, const std::function<void()>& ready);
    void appeared(const device::Facts& facts);
    void gone(const blkfilter::DeviceId& device);
    void heard(const blkfilter::Event& event);
    /// Events of the kernel were missed.
    void look_again();
    void tell(const Notice& notice);

private:
    /// A request, and where its answer goes while that client is there.
    struct Ask {
        std::weak_ptr<Session> session;
        Request request;

        void reply(const nlohmann::json& result) const;
        void refuse(const blkfilter::Error& error, const nlohmann::json& details = nullptr) const;
        void answer(const blkfilter::Result<nlohmann::json>& result) const;
    };
    struct Method {
        bool changes; ///< for root and the control group
        void (Service::*run)(const Ask& ask);
    };
    /// What a job does on the keeper's thread.
    using Work = std::function<blkfilter::Result<nlohmann::json>(
        const std::function<void(std::uint32_t, const std::string&)>& progress)>;

    static const std::map<std::string, Method, std::less<>>& methods();
    void handle(const std::shared_ptr<Session>& session, const Request& request);
    [[nodiscard]] bool may_change(const Peer& peer) const;

    // service.cpp
    void start_job(const Ask& ask, std::string what, Work work);
    void end_job(const Ask& ask, std::uint64_t job, const blkfilter::Result<nlohmann::json>& result);
    void tick();
    void keep(std::function<void()> task);
    void keep_then(std::function<void()> task, std::function<void()> next);
    void refresh();
    void answer_waiting();
    nlohmann::json part_of_snapshot(const std::string& method) const;
    void broadcast(const Notice& notice);

    // methods.cpp
    void from_snapshot(const Ask& ask);
    void plugins(const Ask& ask);
    void plugin_reset(const Ask& ask);
    void jobs(const Ask& ask);
    void job_show(const Ask& ask);
    void plan(const Ask& ask);
    void diff(const Ask& ask);
    void apply(const Ask& ask);
    void confirm(const Ask& ask);
    void rollback(const Ask& ask);
    void group_point(const Ask& ask);
    void stack_attach(const Ask& ask);
    void stack_detach(const Ask& ask);
    void command(const Ask& ask);
    void watch(const Ask& ask);
    blkfilter::Result<nlohmann::json> take_point(const std::string& group);
    [[nodiscard]] blkfilter::Result<blkfilter::DeviceId> find_device(const std::string& name) const;
    [[nodiscard]] blkfilter::Result<const config::Group*> find_group(const std::string& name) const;
    [[nodiscard]] blkfilter::Result<void> add_devices(const nlohmann::json& params,
                                                      plugin::Managed::Request& request) const;
    void send_command(const Ask& ask, plugin::Managed::Request request);
    blkfilter::Result<nlohmann::json> attach(const nlohmann::json& params);
    blkfilter::Result<nlohmann::json> detach(const nlohmann::json& params);

    Loop& loop_;
    Engine& engine_;
    plugin::Managed& filters_;
    Tell log_;
    std::chrono::system_clock::time_point started_{std::chrono::system_clock::now()};
    Jobs jobs_;
    Snapshot snapshot_;
    std::optional<gid_t> control_group_;
    std::vector<Ask> waiting_; ///< for a snapshot
    bool refreshing_{};
    Keeper keeper_; ///< the keeper's thread's
    Server server_;
    std::unique_ptr<Source> timer_;
    std::unique_ptr<Source> patience_; ///< ends the wait for a snapshot
    TaskThread thread_;                ///< the last: it ends before what it uses
};

} // namespace filterd::control
