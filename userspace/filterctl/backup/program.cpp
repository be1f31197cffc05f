// SPDX-License-Identifier: MIT
#include "backup/program.hpp"

#include <blkfilter/file_descriptor.hpp>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <spawn.h>
#include <sys/wait.h>
#include <system_error>
#include <unistd.h>

namespace filterctl::backup {

using blkfilter::FileDescriptor;

namespace {

std::string not_started(const std::string& program, int error) {
    return error == ENOENT ? fmt::format("'{}' is not installed: apt install qemu-utils nbdkit", program)
                           : fmt::format("{}: {}", program, std::strerror(error));
}

struct Pipe {
    FileDescriptor out;
    FileDescriptor in;
};

Pipe make_pipe() {
    std::array<int, 2> ends{-1, -1};
    if (pipe2(ends.data(), O_CLOEXEC) != 0)
        throw std::system_error{errno, std::generic_category(), "pipe"};
    return {FileDescriptor{ends[0]}, FileDescriptor{ends[1]}};
}

/// Adds what can be read; false at the end.
bool read_more(int file, std::string& text) {
    std::array<char, 4096> buffer{};
    const auto got = read(file, buffer.data(), buffer.size());
    if (got > 0)
        text.append(buffer.data(), static_cast<std::size_t>(got));
    return got > 0 || (got < 0 && errno == EINTR);
}

/// Until both have ended.
void read_all(int first, std::string& first_text, int second, std::string& second_text) {
    std::array<pollfd, 2> both{
        {{.fd = first, .events = POLLIN, .revents = 0}, {.fd = second, .events = POLLIN, .revents = 0}}};
    while (both[0].fd >= 0 || both[1].fd >= 0) {
        if (poll(both.data(), both.size(), -1) < 0)
            continue;
        if (both[0].revents != 0 && !read_more(first, first_text))
            both[0].fd = -1;
        if (both[1].revents != 0 && !read_more(second, second_text))
            both[1].fd = -1;
    }
}

std::string last_line(std::string text) {
    while (text.ends_with('\n'))
        text.pop_back();
    return text.substr(text.rfind('\n') + 1);
}

std::sig_atomic_t volatile interrupted = 0;

void on_signal(int) {
    interrupted = 1;
}

} // namespace

std::vector<char*> arguments_of(const std::vector<std::string>& words) {
    std::vector<char*> arguments;
    arguments.reserve(words.size() + 1);
    for (const auto& word : words)
        arguments.push_back(const_cast<char*>(word.c_str()));
    arguments.push_back(nullptr);
    return arguments;
}

Result<std::string> run_program(const std::vector<std::string>& words) {
    auto output = make_pipe();
    auto errors = make_pipe();
    posix_spawn_file_actions_t actions{};
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, output.in.get(), STDOUT_FILENO);
    posix_spawn_file_actions_adddup2(&actions, errors.in.get(), STDERR_FILENO);
    pid_t child{};
    const int error =
        posix_spawnp(&child, words.front().c_str(), &actions, nullptr, arguments_of(words).data(), environ);
    posix_spawn_file_actions_destroy(&actions);
    if (error != 0)
        return fail("failed", not_started(words.front(), error));
    output.in = FileDescriptor{};
    errors.in = FileDescriptor{};
    std::string said;
    std::string complaint;
    read_all(output.out.get(), said, errors.out.get(), complaint);
    int status = 0;
    while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
    }
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
        return fail("failed", fmt::format("{} has failed: {}", words.front(),
                                          complaint.empty() ? last_line(said) : last_line(complaint)));
    return said;
}

Failure become_program(const std::vector<std::string>& words) {
    execvp(words.front().c_str(), arguments_of(words).data());
    return {.code = "failed", .message = not_started(words.front(), errno)};
}

Interruption::Interruption() {
    interrupted = 0;
    for (const int signal : {SIGINT, SIGTERM})
        std::signal(signal, on_signal);
}

Interruption::~Interruption() {
    for (const int signal : {SIGINT, SIGTERM})
        std::signal(signal, SIG_DFL);
}

bool Interruption::came() {
    return interrupted != 0;
}

NoInterruption::NoInterruption() {
    sigset_t signals{};
    sigemptyset(&signals);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &signals, &before_);
}

NoInterruption::~NoInterruption() {
    pthread_sigmask(SIG_SETMASK, &before_, nullptr);
}

} // namespace filterctl::backup
