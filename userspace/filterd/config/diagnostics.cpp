// SPDX-License-Identifier: MIT
#include "config/diagnostics.hpp"

#include <algorithm>
#include <fmt/format.h>
#include <map>
#include <tuple>
#include <utility>

namespace filterd::config {

std::string Position::to_string() const {
    return line > 0 ? fmt::format("{}:{}:{}", file, line, column) : file;
}

std::string Diagnostic::to_string() const {
    return fmt::format("{}: {}: {}", position.to_string(), kind == Kind::error ? "error" : "warning",
                       message);
}

void Diagnostics::error(Position position, std::string message) {
    ++errors_;
    list_.push_back({Diagnostic::Kind::error, std::move(position), std::move(message)});
}

void Diagnostics::warning(Position position, std::string message) {
    list_.push_back({Diagnostic::Kind::warning, std::move(position), std::move(message)});
}

std::vector<Diagnostic> Diagnostics::sorted() const {
    std::map<std::string, std::size_t> order;
    for (const auto& diagnostic : list_)
        order.emplace(diagnostic.position.file, order.size());
    auto result = list_;
    std::ranges::stable_sort(result, {}, [&](const Diagnostic& diagnostic) {
        const auto& position = diagnostic.position;
        return std::tuple{order.at(position.file), position.line, position.column};
    });
    return result;
}

} // namespace filterd::config
