// SPDX-License-Identifier: MIT
/// @file
/// What may come next on a command line, for the shell: the hidden command "filterctl complete -- WORDS...".
#pragma once

#include "commands/commands.hpp"
#include "output/output.hpp"

#include <span>
#include <string>
#include <vector>

namespace filterctl {

/// What the daemon can name.
class Names {
public:
    Names() = default;
    Names(const Names&) = delete;
    Names& operator=(const Names&) = delete;
    virtual ~Names() = default;

    /// Of one kind; empty when the daemon does not say in time.
    [[nodiscard]] virtual std::vector<std::string> of(Hint::Kind kind) = 0;
};

/// What the last one of @p words, which may be empty, can become. @p words: without the program's name.
std::vector<std::string> candidates(const CommandLine& line, std::span<const std::string> words,
                                    Names& names);

/// Prints candidates, one a line; asks the daemon for up to a second.
void complete(std::span<const std::string> words, Output& output);

} // namespace filterctl
