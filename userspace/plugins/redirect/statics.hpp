// SPDX-License-Identifier: MIT
/// @file
/// Redirects that the configuration declares: begun as soon as that can be, again and again until it works.
#pragma once

#include "migrations.hpp"

#include <condition_variable>
#include <map>
#include <mutex>
#include <string>
#include <thread>

namespace filterd::redirects {

/// From several threads at once.
class Statics {
public:
    /// @p surroundings: its control, log and period.
    explicit Statics(Surroundings surroundings) : around_{std::move(surroundings)} {}
    Statics(const Statics&) = delete;
    Statics& operator=(const Statics&) = delete;
    /// Ends the trying; what is redirected stays.
    ~Statics();

    /// All I/O of the device, which has the filter, shall go to @p target.
    void want(const Source& source, const std::string& target);

private:
    struct Wanted {
        Source source;
        std::string target;
        std::string said{}; ///< why it is not so, the last time
    };

    void run();
    bool try_one(Wanted& wanted) const;
    void say(Wanted& wanted, const std::string& why) const;

    Surroundings around_;
    std::mutex mutex_;
    std::condition_variable changed_;
    std::map<blkfilter::DeviceId, Wanted> wanted_;
    bool ends_{};
    std::thread thread_;
};

} // namespace filterd::redirects
