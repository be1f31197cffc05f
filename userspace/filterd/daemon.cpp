// SPDX-License-Identifier: MIT
#include "daemon.hpp"

#include "control/service.hpp"
#include "device/system.hpp"
#include "plugin/crash.hpp"
#include "plugin/host.hpp"

#include <blkfilter-common/version.hpp>

#include <cerrno>
#include <csignal>
#include <ctime>
#include <exception>
#include <fmt/format.h>
#include <iostream>
#include <mutex>
#include <sys/epoll.h>
#include <system_error>
#include <thread>
#include <utility>

// Fields of the journal name the place in the source otherwise, for which nobody asks.
#define SD_JOURNAL_SUPPRESS_LOCATION
#include <systemd/sd-daemon.h>
#include <systemd/sd-journal.h>

namespace filterd {

namespace {

/// So long the start of the system waits for devices that are slow to take their filters. Less than the
/// unit's TimeoutStartSec.
constexpr std::chrono::seconds longest_start{60};

/// A line in the journal with fields to look for, or on standard error.
void write_log(const Notice& notice) {
    static const bool to_journal = std::getenv("JOURNAL_STREAM") != nullptr;
    const auto priority = static_cast<int>(notice.priority);
    const auto text = notice.device.empty() && notice.filter.empty() ? notice.text
                      : notice.filter.empty() ? fmt::format("{}: {}", notice.device, notice.text)
                      : notice.device.empty()
                          ? fmt::format("{}: {}", notice.filter, notice.text)
                          : fmt::format("{}: {}: {}", notice.device, notice.filter, notice.text);
    if (to_journal) {
        static_cast<void>(sd_journal_send(
            "PRIORITY=%i", priority, "MESSAGE=%s", text.c_str(), "FILTERD_EVENT=%s", notice.type.c_str(),
            "FILTERD_DEVICE=%s", notice.device.c_str(), "FILTERD_FILTER=%s", notice.filter.c_str(), nullptr));
    } else if (notice.priority != Priority::debug) {
        static std::mutex mutex;
        const std::scoped_lock lock{mutex};
        std::cerr << "filterd: " << text << '\n';
    }
}

void block_signals() {
    sigset_t signals{};
    sigemptyset(&signals);
    for (const int signal : {SIGTERM, SIGINT, SIGHUP})
        sigaddset(&signals, signal);
    pthread_sigmask(SIG_BLOCK, &signals, nullptr);
}

std::uint64_t monotonic_usec() {
    return static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::microseconds>(
                                          std::chrono::steady_clock::now().time_since_epoch())
                                          .count());
}

/// Reads the kernel's events from the moment on that it can.
class KernelEvents {
public:
    KernelEvents(control::Loop& loop, control::Service& service) : loop_{loop}, service_{service} {
        timer_ = loop_.every(std::chrono::seconds{1}, [this] {
            if (!stream_ && open())
                service_.look_again(); // whoever has loaded the module may have loaded filters with it
        });
        open();
    }

private:
    /// False: the module is not loaded yet.
    bool open() {
        auto opened = blkfilter::EventStream::open();
        if (!opened)
            return false;
        stream_.emplace(std::move(*opened));
        source_ = loop_.watch(stream_->descriptor(), EPOLLIN, [this](std::uint32_t) { read(); });
        return true;
    }

    void read() {
        while (stream_) {
            const auto next = stream_->next(std::chrono::milliseconds{0});
            const auto event = next.value_or(std::nullopt);
            if (!event)
                return;
            service_.heard(*event);
        }
    }

    control::Loop& loop_;
    control::Service& service_;
    std::optional<blkfilter::EventStream> stream_;
    std::unique_ptr<control::Source> source_;
    std::unique_ptr<control::Source> timer_;
};

/// Hears of devices and filters from the kernel and from udev. On a thread of its own: to understand what
/// they say takes sysfs, which is locked for seconds while a hundred disks appear.
class Listener {
public:
    /// Begins the service with the devices that are there. When it cannot go on it ends @p main.
    Listener(control::Loop& main, control::Service& service, const std::function<void()>& ready)
        : events_{loop_, service},
          monitor_{loop_.handle(), [&](const device::Facts& facts) { service.appeared(facts); },
                   [&](const blkfilter::DeviceId& id) { service.gone(id); }} {
        thread_ = std::thread{[this, &main, &service, ready] {
            try {
                service.begin(device::enumerate(), ready);
                loop_.run();
            } catch (...) {
                failure_ = std::current_exception();
                main.post([&main] { main.end(); });
            }
        }};
    }
    Listener(const Listener&) = delete;
    Listener& operator=(const Listener&) = delete;
    ~Listener() { end(); }

    /// Errors: why it could not go on.
    void finish() {
        end();
        if (failure_)
            std::rethrow_exception(failure_);
    }

private:
    void end() {
        if (!thread_.joinable())
            return;
        loop_.post([this] { loop_.end(); });
        thread_.join();
    }

    control::Loop loop_;
    KernelEvents events_;
    device::Monitor monitor_;
    std::exception_ptr failure_;
    std::thread thread_;
};

} // namespace

void run_daemon(const DaemonOptions& options) {
    block_signals();
    std::filesystem::create_directories(options.runtime_folder);
    const auto crashes = options.runtime_folder / "crashes";
    plugin::note_crashes(crashes);
    plugin::surroundings() = {.tell = write_log, .state_folder = options.state_folder / "plugins"};

    control::Loop loop;
    KernelEngine engine;
    KernelModules modules;
    if (const auto loaded = modules.load("blkfilter"); !loaded)
        write_log({.priority = Priority::error, .type = "failed", .text = loaded.error().message});
    plugin::Managed filters{
        {.folder = options.plugin_folder, .crashes = crashes}, engine, modules, write_log};
    control::Service service{{.loop = loop,
                              .engine = engine,
                              .filters = filters,
                              .config = options.config,
                              .state = {.rules = options.runtime_folder / "rules.json",
                                        .rollback = options.runtime_folder / "rollback.json"},
                              .socket = options.runtime_folder / "control.sock",
                              .log = write_log}};
    std::unique_ptr<control::Source> patience;
    const auto ready = [&] {
        if (std::exchange(patience, nullptr))
            static_cast<void>(sd_notify(0, "READY=1"));
    };
    patience = loop.every(longest_start, [&] { loop.post(ready); });
    Listener listener{loop, service, ready};
    const auto reload = loop.on_signal(SIGHUP, [&] {
        static_cast<void>(sd_notifyf(0, "RELOADING=1\nMONOTONIC_USEC=%llu",
                                     static_cast<unsigned long long>(monotonic_usec())));
        service.reload([] { static_cast<void>(sd_notify(0, "READY=1")); });
    });
    const auto end = [&] {
        static_cast<void>(sd_notify(0, "STOPPING=1"));
        loop.end();
    };
    const auto terminate = loop.on_signal(SIGTERM, end);
    const auto interrupt = loop.on_signal(SIGINT, end);
    static_cast<void>(sd_event_set_watchdog(loop.handle(), 1));
    write_log({.priority = Priority::info,
               .type = "started",
               .text = fmt::format("filterd {}", blkfilter::common::version)});
    loop.run();
    listener.finish();
}

} // namespace filterd
