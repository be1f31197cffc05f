// SPDX-License-Identifier: MIT
/// @file
/// What has come off a plugin's table while its watching thread is still about to end.
#pragma once

#include <memory>
#include <mutex>
#include <utility>
#include <vector>

namespace filterd {

/// From several threads at once. Each @p Live has a thread `watcher`, which its owner has told to end; it may
/// be the one that retires it, so that another one has to join it later.
template <class Live>
class Retired {
public:
    void add(std::shared_ptr<Live> live) {
        const std::scoped_lock lock{mutex_};
        all_.push_back(std::move(live));
    }

    /// Returns when the threads of all that were added have ended. Not from one of them.
    void join() {
        std::vector<std::shared_ptr<Live>> all;
        {
            const std::scoped_lock lock{mutex_};
            all.swap(all_);
        }
        for (const auto& live : all)
            if (live->watcher.joinable())
                live->watcher.join();
    }

private:
    std::mutex mutex_;
    std::vector<std::shared_ptr<Live>> all_;
};

} // namespace filterd
