// SPDX-License-Identifier: MIT
/// @file
/// Tables for people.
#pragma once

#include <cstddef>
#include <initializer_list>
#include <memory>
#include <span>
#include <string>
#include <vector>

struct libscols_table;

namespace blkfilter::common {

/// A table with a heading; columns are as wide as their widest cell.
class Table {
public:
    enum class Align : unsigned char { left, right };
    struct Column {
        const char* heading;
        Align align;
        std::size_t least_width = 0;
    };

    explicit Table(std::span<const Column> columns);
    Table(std::initializer_list<Column> columns)
        : Table{std::span<const Column>{columns.begin(), columns.size()}} {}

    /// One cell for each column; cells that are left out are empty.
    void add_row(const std::vector<std::string>& cells);

    /// For a table that goes on from another one.
    void hide_heading();

    /// Lines with newlines; nothing at all when there is no row.
    [[nodiscard]] std::string to_string() const;

    /// How wide to_string() has made a column.
    [[nodiscard]] std::size_t width(std::size_t column) const;

private:
    struct Release {
        void operator()(libscols_table* table) const;
    };
    std::unique_ptr<libscols_table, Release> table_;
};

} // namespace blkfilter::common
