// SPDX-License-Identifier: MIT
#include "plugin/worker.hpp"

#include "plugin/crash.hpp"
#include "plugin/host.hpp"

#include <condition_variable>
#include <deque>
#include <future>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

namespace filterd::plugin {

struct Worker::State {
    struct Waiting {
        Task task;
        Clock::time_point deadline;
    };

    explicit State(std::string name) : plugin{std::move(name)} {}

    void run();
    void run_one(std::unique_lock<std::mutex>& lock);

    const std::string plugin;
    std::mutex mutex;
    std::condition_variable changed;
    std::deque<Waiting> queue;
    std::unique_ptr<Waiting> running; ///< its work has been moved out; ended is empty once it was given up
    bool stopping{};
};

void Worker::State::run_one(std::unique_lock<std::mutex>& lock) {
    running = std::make_unique<Waiting>(std::move(queue.front()));
    queue.pop_front();
    const auto work = std::move(running->task.work);
    const auto what = running->task.what;
    lock.unlock();
    {
        const Call call{plugin, what};
        work();
    }
    lock.lock();
    const auto ended = std::move(running->task.ended);
    running.reset();
    lock.unlock();
    if (ended)
        ended(true);
    lock.lock();
}

void Worker::State::run() {
    const AlternateStack stack; // a plugin that has used up its stack is noted, too
    std::unique_lock lock{mutex};
    for (;;) {
        changed.wait(lock, [this] { return stopping || !queue.empty(); });
        if (queue.empty())
            return;
        run_one(lock);
    }
}

Worker::Worker(const std::string& plugin) : state_{std::make_shared<State>(plugin)} {
    std::thread{[state = state_] { state->run(); }}.detach();
}

Worker::~Worker() {
    const std::scoped_lock lock{state_->mutex};
    state_->stopping = true;
    state_->changed.notify_all();
}

void Worker::post(Task task, Clock::time_point deadline) {
    {
        const std::scoped_lock lock{state_->mutex};
        const bool hangs = state_->running && !state_->running->task.ended;
        if (!hangs) {
            state_->queue.push_back({std::move(task), deadline});
            state_->changed.notify_all();
            return;
        }
    }
    task.ended(false);
}

bool Worker::call(std::string what, std::function<void()> work, std::chrono::milliseconds limit) {
    const auto promise = std::make_shared<std::promise<bool>>();
    auto result = promise->get_future();
    const auto deadline = Clock::now() + limit;
    post({std::move(what), std::move(work), [promise](bool done) { promise->set_value(done); }}, deadline);
    if (result.wait_until(deadline) != std::future_status::ready)
        expire();
    return result.get();
}

void Worker::expire(Clock::time_point now) {
    std::vector<std::function<void(bool)>> late;
    {
        const std::scoped_lock lock{state_->mutex};
        if (state_->running && state_->running->deadline <= now && state_->running->task.ended)
            late.push_back(std::exchange(state_->running->task.ended, nullptr));
        std::erase_if(state_->queue, [&](State::Waiting& waiting) {
            if (waiting.deadline > now)
                return false;
            late.push_back(std::move(waiting.task.ended));
            return true;
        });
    }
    for (const auto& ended : late)
        ended(false);
}

bool Worker::is_idle() const {
    const std::scoped_lock lock{state_->mutex};
    return state_->queue.empty() && !state_->running;
}

std::optional<std::string> Worker::hangs_in() const {
    const std::scoped_lock lock{state_->mutex};
    return state_->running && !state_->running->task.ended ? std::optional{state_->running->task.what}
                                                           : std::nullopt;
}

} // namespace filterd::plugin
