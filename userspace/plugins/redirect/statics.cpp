// SPDX-License-Identifier: MIT
#include "statics.hpp"

#include <cerrno>
#include <fmt/format.h>
#include <utility>

namespace filterd::redirects {

namespace redirect = blkfilter::redirect;
using redirect::State;

Statics::~Statics() {
    {
        const std::scoped_lock lock{mutex_};
        ends_ = true;
        changed_.notify_all();
    }
    if (thread_.joinable())
        thread_.join();
}

void Statics::want(const Source& source, const std::string& target) {
    const std::scoped_lock lock{mutex_};
    wanted_.insert_or_assign(source.id, Wanted{.source = source, .target = target});
    if (!thread_.joinable())
        thread_ = std::thread{[this] { run(); }};
    changed_.notify_all();
}

/// Each once in a period, without the lock, as a start may wait for the device to drain.
void Statics::run() {
    std::unique_lock lock{mutex_};
    while (!ends_) {
        const auto all = wanted_;
        lock.unlock();
        std::map<blkfilter::DeviceId, Wanted> left;
        for (auto [id, wanted] : all)
            if (!try_one(wanted))
                left.emplace(id, std::move(wanted));
        lock.lock();
        for (const auto& [id, before] : all) {
            const auto found = wanted_.find(id);
            if (found == wanted_.end() || found->second.target != before.target)
                continue; // somebody has asked anew meanwhile
            if (const auto again = left.find(id); again != left.end())
                found->second = again->second;
            else
                wanted_.erase(found);
        }
        if (wanted_.empty())
            changed_.wait(lock, [this] { return ends_ || !wanted_.empty(); });
        else
            changed_.wait_for(lock, around_.period, [this] { return ends_; });
    }
}

void Statics::say(Wanted& wanted, const std::string& why) const {
    if (std::exchange(wanted.said, why) != why)
        around_.log(FILTERD_WARNING,
                    fmt::format("{} is not redirected to {}: {}", wanted.source.name, wanted.target, why));
}

/// True: there is nothing left to try.
bool Statics::try_one(Wanted& wanted) const {
    const auto control = around_.control();
    if (!control) {
        say(wanted, control.error().message);
        return false;
    }
    const Redirection redirection{*control, wanted.source.id};
    const auto status = redirection.status();
    if (!status) {
        say(wanted, status.error().message);
        return status.error().code == ENOENT || status.error().code == ENODEV;
    }
    if (status->state == State::redirected) {
        const auto target = blkfilter::DeviceId::from_path(wanted.target);
        if (target && *target != status->target)
            say(wanted, fmt::format("it is to {}: filterctl redirect finish ends that",
                                    blkfilter::device_name(status->target)));
        return true;
    }
    const auto done = redirection.start({.target = wanted.target, .mode = redirect::Mode::only});
    if (done)
        around_.log(FILTERD_NOTICE, fmt::format("{}: all I/O goes to {}, as it is declared",
                                                wanted.source.name, wanted.target));
    else
        say(wanted, done.error().message);
    return done.has_value();
}

} // namespace filterd::redirects
