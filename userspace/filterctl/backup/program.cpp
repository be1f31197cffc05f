// SPDX-License-Identifier: MIT
#include "backup/program.hpp"

#include <blkfilter/file_descriptor.hpp>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <system_error>
#include <tuple>
#include <unistd.h>

namespace filterctl::backup {

using blkfilter::FileDescriptor;

namespace {

constexpr int deaf_ms = 200;

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

/// Until both have ended. A child that is not wanted any more is ended.
void read_all(pid_t child, int first, std::string& first_text, int second, std::string& second_text) {
    std::array<pollfd, 2> both{
        {{.fd = first, .events = POLLIN, .revents = 0}, {.fd = second, .events = POLLIN, .revents = 0}}};
    while (both[0].fd >= 0 || both[1].fd >= 0) {
        if (Interruption::came())
            kill(child, SIGKILL);
        // A signal may have come just before.
        if (poll(both.data(), both.size(), deaf_ms) <= 0)
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

namespace {

/// Between fork() and exec(). Whatever ends us ends it: nobody would know that it still writes.
[[noreturn]] void become_child(char* const* arguments, pid_t parent, int output, int errors, int failure) {
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) == 0 && getppid() == parent && dup2(output, STDOUT_FILENO) >= 0 &&
        dup2(errors, STDERR_FILENO) >= 0)
        execvp(arguments[0], arguments);
    const int error = errno;
    std::ignore = write(failure, &error, sizeof(error));
    _exit(EXIT_FAILURE);
}

Result<pid_t> start(const std::vector<std::string>& words, int output, int errors) {
    auto failure = make_pipe();
    const auto arguments = arguments_of(words);
    const pid_t parent = getpid();
    const pid_t child = fork();
    if (child == 0)
        become_child(arguments.data(), parent, output, errors, failure.in.get());
    if (child < 0)
        return fail("failed", not_started(words.front(), errno));
    // exec() closes the other end.
    failure.in = FileDescriptor{};
    int error = 0;
    ssize_t got = 0;
    while ((got = read(failure.out.get(), &error, sizeof(error))) < 0 && errno == EINTR) {
    }
    if (got <= 0)
        return child;
    while (waitpid(child, nullptr, 0) < 0 && errno == EINTR) {
    }
    return fail("failed", not_started(words.front(), error));
}

} // namespace

Result<std::string> run_program(const std::vector<std::string>& words) {
    auto output = make_pipe();
    auto errors = make_pipe();
    const auto child = start(words, output.in.get(), errors.in.get());
    if (!child)
        return pass_on(child);
    output.in = FileDescriptor{};
    errors.in = FileDescriptor{};
    std::string said;
    std::string complaint;
    read_all(*child, output.out.get(), said, errors.out.get(), complaint);
    int status = 0;
    while (waitpid(*child, &status, 0) < 0 && errno == EINTR) {
    }
    const bool is_done = WIFEXITED(status) && WEXITSTATUS(status) == 0;
    if (!is_done && Interruption::came())
        return fail("failed", "interrupted");
    if (!is_done)
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
    interrupted = 0;
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
