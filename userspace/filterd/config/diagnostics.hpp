// SPDX-License-Identifier: MIT
/// @file
/// What is wrong with configuration files: everything that was found, each with its place.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

namespace filterd::config {

/// A place in a file; line and column count from 1, and are 0 for the file as a whole.
struct Position {
    std::string file;
    int line{};
    int column{};

    /// "file:line:column", or "file".
    [[nodiscard]] std::string to_string() const;
};

struct Diagnostic {
    enum class Kind { error, warning };

    Kind kind;
    Position position;
    std::string message;

    /// "file:line:column: error: message"
    [[nodiscard]] std::string to_string() const;
};

/// Collects them, so that all errors are reported at once.
class Diagnostics {
public:
    void error(Position position, std::string message);
    void warning(Position position, std::string message);

    void append(const Diagnostics& others);

    [[nodiscard]] bool has_errors() const { return errors_ > 0; }
    [[nodiscard]] std::size_t errors() const { return errors_; }

    /// By file in the order of their reading, then by place.
    [[nodiscard]] std::vector<Diagnostic> sorted() const;

private:
    std::vector<Diagnostic> list_;
    std::size_t errors_{};
};

} // namespace filterd::config
