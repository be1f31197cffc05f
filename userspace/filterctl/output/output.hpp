// SPDX-License-Identifier: MIT
/// @file
/// Standard output.
#pragma once

#include <exception>
#include <string>
#include <string_view>

namespace filterctl {

/// Whoever read our output has gone, as in "filterctl ... | head": reason to end, but no failure.
class NobodyReads : public std::exception {
public:
    [[nodiscard]] const char* what() const noexcept override { return "nobody reads the output"; }
};

/// Writes to a file descriptor. SIGPIPE must be ignored.
class Output {
public:
    explicit Output(int descriptor) : descriptor_{descriptor} {}

    /// Keeps the text until there is much of it, or flush(). Throws what flush() throws.
    void print(std::string_view text);

    /// Throws NobodyReads, or std::system_error when it cannot be written otherwise.
    void flush();

    /// Something has been printed.
    [[nodiscard]] bool is_used() const { return used_; }

private:
    int descriptor_;
    bool used_{};
    std::string waiting_;
};

} // namespace filterctl
