// SPDX-License-Identifier: MIT
#include "plugin/crash.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <fstream>
#include <span>
#include <sstream>
#include <system_error>
#include <unistd.h>
#include <vector>

namespace filterd::plugin {

namespace {

/// What a signal handler may use: written before the plugin is called, in memory that is there.
struct Note {
    std::array<char, 128> line; ///< "PLUGIN CALL\n"
    std::size_t length;         ///< 0: in no plugin
};

thread_local Note note{};
int notes_file = -1;

void write_note() {
    if (note.length != 0)
        static_cast<void>(::write(notes_file, note.line.data(), note.length));
}

void on_crash(int signal) {
    write_note();
    // The handler was for once: now as if there were none, with a core dump.
    static_cast<void>(raise(signal));
}

void on_exit() {
    if (note.length == 0)
        return;
    write_note();
    // Other threads are at work: nothing of them is to be torn down.
    _exit(EXIT_FAILURE);
}

std::vector<std::string> read_lines(const std::filesystem::path& file) {
    std::vector<std::string> lines;
    std::ifstream stream{file};
    for (std::string line; std::getline(stream, line);)
        lines.push_back(line);
    return lines;
}

std::string plugin_of(const std::string& line) {
    return line.substr(0, line.find(' '));
}

} // namespace

void note_crashes(const std::filesystem::path& file) {
    notes_file = ::open(file.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, S_IRUSR | S_IWUSR);
    if (notes_file < 0)
        throw std::system_error{errno, std::generic_category(), file.string()};
    for (const int signal : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT}) {
        struct sigaction action{};
        action.sa_handler = on_crash;
        action.sa_flags = static_cast<int>(SA_ONSTACK | SA_RESETHAND | SA_NODEFER);
        static_cast<void>(sigaction(signal, &action, nullptr));
    }
    static_cast<void>(std::atexit(on_exit));
}

std::map<std::string, int> crashes(const std::filesystem::path& file) {
    std::map<std::string, int> count;
    for (const auto& line : read_lines(file))
        ++count[plugin_of(line)];
    return count;
}

void forget_crashes(const std::filesystem::path& file, const std::string& plugin) {
    std::ostringstream rest;
    for (const auto& line : read_lines(file))
        if (plugin_of(line) != plugin)
            rest << line << '\n';
    // The same file: it is open for the next note.
    std::ofstream{file, std::ios::trunc} << rest.str();
}

InPlugin::InPlugin(std::string_view plugin, std::string_view what) {
    auto& line = note.line;
    std::size_t length = 0;
    for (const auto part : {plugin, std::string_view{" "}, what}) {
        const auto size = std::min(part.size(), line.size() - 1 - length);
        std::memcpy(line.data() + length, part.data(), size);
        length += size;
    }
    line.at(length++) = '\n';
    note.length = length;
}

InPlugin::~InPlugin() {
    note.length = 0;
}

AlternateStack::AlternateStack() : memory_{new std::byte[static_cast<std::size_t>(SIGSTKSZ)]} {
    const stack_t stack{.ss_sp = memory_.get(), .ss_flags = 0, .ss_size = static_cast<std::size_t>(SIGSTKSZ)};
    static_cast<void>(sigaltstack(&stack, nullptr));
}

AlternateStack::~AlternateStack() {
    const stack_t none{.ss_sp = nullptr, .ss_flags = SS_DISABLE, .ss_size = 0};
    static_cast<void>(sigaltstack(&none, nullptr));
}

} // namespace filterd::plugin
