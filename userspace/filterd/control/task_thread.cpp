// SPDX-License-Identifier: MIT
#include "control/task_thread.hpp"

#include <utility>

namespace filterd::control {

TaskThread::TaskThread() : thread_{[this] { run(); }} {}

TaskThread::~TaskThread() {
    {
        const std::scoped_lock lock{mutex_};
        stopping_ = true;
    }
    changed_.notify_all();
    thread_.join();
}

void TaskThread::post(std::function<void()> task) {
    {
        const std::scoped_lock lock{mutex_};
        queue_.push_back(std::move(task));
    }
    changed_.notify_all();
}

bool TaskThread::is_idle() const {
    const std::scoped_lock lock{mutex_};
    return !busy_ && queue_.empty();
}

void TaskThread::run() {
    std::unique_lock lock{mutex_};
    for (;;) {
        changed_.wait(lock, [this] { return stopping_ || !queue_.empty(); });
        if (stopping_)
            return;
        const auto task = std::move(queue_.front());
        queue_.pop_front();
        busy_ = true;
        lock.unlock();
        task();
        lock.lock();
        busy_ = false;
    }
}

} // namespace filterd::control
