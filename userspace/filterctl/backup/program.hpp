// SPDX-License-Identifier: MIT
/// @file
/// Programs of others that do a part of the work.
#pragma once

#include "client/failure.hpp"

#include <csignal>
#include <string>
#include <vector>

namespace filterctl::backup {

/// As execvp() takes them; they point into @p words.
std::vector<char*> arguments_of(const std::vector<std::string>& words);

/// Runs a program, found by PATH, and waits; what it writes to standard output. It ends when we do, and when
/// an Interruption comes. "failed": it is not there, or has failed, with the last line of what it said.
Result<std::string> run_program(const std::vector<std::string>& words);

/// Becomes a program; returns only when that fails.
Failure become_program(const std::vector<std::string>& words);

/// Whether SIGINT or SIGTERM has come while an object of this class lives; the program goes on then.
class Interruption {
public:
    Interruption();
    Interruption(const Interruption&) = delete;
    Interruption& operator=(const Interruption&) = delete;
    ~Interruption();

    [[nodiscard]] static bool came();
};

/// What is started while an object of this class lives never sees SIGINT and SIGTERM: a terminal, and a
/// service that is stopped, send them to us and to all that we have started.
class NoInterruption {
public:
    NoInterruption();
    NoInterruption(const NoInterruption&) = delete;
    NoInterruption& operator=(const NoInterruption&) = delete;
    ~NoInterruption();

private:
    sigset_t before_{};
};

} // namespace filterctl::backup
