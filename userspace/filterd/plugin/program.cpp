// SPDX-License-Identifier: MIT
#include "plugin/program.hpp"

#include <cerrno>
#include <csignal>
#include <fcntl.h>
#include <memory>
#include <poll.h>
#include <spawn.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <vector>

namespace filterd::plugin {

namespace {

constexpr std::chrono::milliseconds grace{2000};

/// What a child is started with: a process group of its own, no signal blocked, no input.
class Preparation {
public:
    Preparation() {
        posix_spawnattr_init(&attributes_);
        posix_spawn_file_actions_init(&actions_);
        sigset_t none{};
        sigemptyset(&none);
        posix_spawnattr_setsigmask(&attributes_, &none);
        sigset_t all{};
        sigfillset(&all);
        posix_spawnattr_setsigdefault(&attributes_, &all);
        posix_spawnattr_setpgroup(&attributes_, 0);
        posix_spawnattr_setflags(&attributes_,
                                 POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP);
        posix_spawn_file_actions_addopen(&actions_, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
        posix_spawn_file_actions_adddup2(&actions_, STDERR_FILENO, STDOUT_FILENO);
    }
    Preparation(const Preparation&) = delete;
    Preparation& operator=(const Preparation&) = delete;
    ~Preparation() {
        posix_spawnattr_destroy(&attributes_);
        posix_spawn_file_actions_destroy(&actions_);
    }

    int spawn(const char* command, const std::vector<char*>& environment, pid_t& child) {
        const char* arguments[] = {"sh", "-c", command, nullptr};
        return posix_spawn(&child, "/bin/sh", &actions_, &attributes_, const_cast<char**>(arguments),
                           environment.data());
    }

private:
    posix_spawnattr_t attributes_{};
    posix_spawn_file_actions_t actions_{};
};

std::vector<char*> variables_of(const char* const* more) {
    std::vector<char*> all;
    // The last one of a name holds: what is given comes first, for shells that think otherwise.
    for (; more && *more; ++more)
        all.push_back(const_cast<char*>(*more));
    for (char** own = environ; own && *own; ++own)
        all.push_back(*own);
    all.push_back(nullptr);
    return all;
}

/// Whether it ends in that time.
bool ends_within(int child, std::chrono::milliseconds limit) {
    const auto deadline = std::chrono::steady_clock::now() + limit;
    pollfd poll_for{.fd = child, .events = POLLIN, .revents = 0};
    for (;;) {
        const auto left =
            std::chrono::ceil<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now());
        if (left.count() < 0)
            return false;
        const int found = poll(&poll_for, 1, static_cast<int>(left.count()));
        if (found != 0 && !(found < 0 && errno == EINTR))
            return true;
    }
}

int status_of(pid_t child) {
    int status = 0;
    while (waitpid(child, &status, 0) < 0)
        if (errno != EINTR)
            return -errno;
    constexpr int by_signal = 128;
    return WIFSIGNALED(status) ? by_signal + WTERMSIG(status) : WEXITSTATUS(status);
}

} // namespace

int run_shell(const char* command, const char* const* environment, std::chrono::milliseconds limit) {
    const auto variables = variables_of(environment);
    pid_t child{};
    if (const int error = Preparation{}.spawn(command, variables, child); error != 0)
        return -error;
    const int handle = static_cast<int>(syscall(SYS_pidfd_open, child, 0));
    const bool ended = handle >= 0 && ends_within(handle, limit);
    if (!ended) {
        kill(-child, SIGTERM);
        if (handle < 0 || !ends_within(handle, grace))
            kill(-child, SIGKILL);
    }
    if (handle >= 0)
        close(handle);
    const int status = status_of(child);
    return ended ? status : -ETIMEDOUT;
}

} // namespace filterd::plugin
