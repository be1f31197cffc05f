// SPDX-License-Identifier: MIT
#include "output/records.hpp"

#include <algorithm>
#include <blkfilter-common/table.hpp>
#include <fmt/format.h>

namespace filterctl {

namespace {

using blkfilter::common::Table;

std::string heading_of(std::string key) {
    std::ranges::transform(key, key.begin(), [](char c) {
        if (c == '_')
            return '-';
        return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
    });
    return key;
}

/// Whether all values of a column that are there are numbers.
bool is_numeric(const Json& records, const std::string& key) {
    return std::ranges::all_of(records, [&](const Json& record) {
        const auto& value = member(record, key);
        return value.is_number() || value.is_null();
    });
}

} // namespace

std::string cell_of(const Json& value) {
    if (value.is_string())
        return value.get<std::string>();
    if (value.is_null())
        return "-";
    if (value.is_boolean())
        return value.get<bool>() ? "yes" : "no";
    if (!value.is_array() || std::ranges::any_of(value, &Json::is_structured))
        return line_of(value);
    std::string cells;
    for (const auto& element : value)
        cells += (cells.empty() ? "" : ",") + cell_of(element);
    return cells.empty() ? "-" : cells;
}

void RecordTable::add_column(const std::string& key, const Json& records) {
    if (std::ranges::find(columns_, key, &Column::key) == columns_.end())
        columns_.push_back(
            {.key = key, .heading = heading_of(key), .numeric = is_numeric(records, key), .width = 0});
}

/// Whether there is a new one.
bool RecordTable::add_columns(const Json& records, const Json& columns) {
    const auto before = columns_.size();
    for (const auto& column : columns)
        if (column.is_string())
            add_column(column.get<std::string>(), records);
    for (const auto& record : records)
        for (const auto& [key, value] : record.items())
            add_column(key, records);
    return columns_.size() != before;
}

std::string RecordTable::page(const Json& records, const Json& columns) {
    const bool has_heading = add_columns(records, columns);
    std::vector<Table::Column> headings;
    headings.reserve(columns_.size());
    for (const auto& column : columns_)
        headings.push_back({.heading = column.heading.c_str(),
                            .align = column.numeric ? Table::Align::right : Table::Align::left,
                            .least_width = column.width});
    Table table{headings};
    if (!has_heading)
        table.hide_heading();
    for (const auto& record : records) {
        std::vector<std::string> cells;
        cells.reserve(columns_.size());
        for (const auto& column : columns_) {
            const auto cell = cell_of(member(record, column.key));
            // Each row has as many words as there are columns.
            cells.push_back(cell.empty() ? "-" : cell);
        }
        table.add_row(cells);
    }
    auto lines = table.to_string();
    for (std::size_t i = 0; i < columns_.size() && !lines.empty(); ++i)
        columns_[i].width = table.width(i);
    return lines;
}

std::string table_of(const Json& records, const std::vector<std::string>& keys) {
    auto chosen = Json::array();
    for (const auto& record : records) {
        auto& row = chosen.emplace_back(Json::object());
        for (const auto& key : keys)
            row[key] = member(record, key);
    }
    return RecordTable{}.page(chosen);
}

std::string lines_of(const Json& record, const std::vector<std::string>& first_keys) {
    auto ordered = Json::object();
    for (const auto& key : first_keys)
        ordered[key] = member(record, key);
    ordered.update(record.is_object() ? record : Json::object());
    std::string lines;
    for (const auto& [key, value] : ordered.items())
        if (!value.is_null() && value != "")
            lines += fmt::format("{}: {}\n", key, cell_of(value));
    return lines;
}

} // namespace filterctl
