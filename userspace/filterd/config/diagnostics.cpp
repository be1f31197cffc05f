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

void Diagnostics::append(const Diagnostics& others) {
    list_.insert(list_.end(), others.list_.begin(), others.list_.end());
    errors_ += others.errors_;
}

std::vector<Diagnostic> Diagnostics::sorted() const {
    std::map<std::string, std::size_t> order;
    for (const auto& diagnostic : list_)
        order.emplace(diagnostic.position.file, order.size());
    std::vector<std::size_t> places(list_.size());
    for (std::size_t i = 0; i < places.size(); ++i)
        places[i] = i;
    std::ranges::sort(places, {}, [&](std::size_t i) {
        const auto& position = list_[i].position;
        return std::tuple{order.at(position.file), position.line, position.column, i};
    });
    std::vector<Diagnostic> result;
    result.reserve(list_.size());
    for (const auto i : places)
        result.push_back(list_[i]);
    return result;
}

} // namespace filterd::config
