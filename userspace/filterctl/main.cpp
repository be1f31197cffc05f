// SPDX-License-Identifier: MIT
/// @file
/// filterctl: the command line of filterd.
#include "commands/command_line.hpp"
#include "commands/completion.hpp"

#include <clocale>
#include <csignal>
#include <iostream>
#include <unistd.h>
#include <utility>

namespace {

int run(std::span<char* const> arguments) {
    // Of tables, which else show other letters than ASCII's as numbers.
    std::setlocale(LC_CTYPE, "");
    // A write to a pipe that nobody reads fails instead, and ends the program in order.
    std::signal(SIGPIPE, SIG_IGN);
    const std::vector<std::string> words{arguments.begin() + 1, arguments.end()};
    filterctl::Output output{STDOUT_FILENO};
    try {
        if (words.size() > 1 && words[0] == "complete" && words[1] == "--") {
            filterctl::complete(std::span{words}.subspan(2), output);
            return std::to_underlying(filterctl::ExitCode::done);
        }
        return std::to_underlying(filterctl::run(words, output, std::cerr, isatty(STDERR_FILENO) == 1));
    } catch (const filterctl::NobodyReads&) {
        // Whoever reads had enough.
        return std::to_underlying(filterctl::ExitCode::done);
    }
}

} // namespace

int main(int argc, char** argv) {
    try {
        return run({argv, static_cast<std::size_t>(argc)});
    } catch (const std::exception& error) {
        std::cerr << "filterctl: " << error.what() << '\n';
        return std::to_underlying(filterctl::ExitCode::failed);
    }
}
