// SPDX-License-Identifier: MIT
/// @file
/// Tables for people.
#pragma once

#include <initializer_list>
#include <memory>
#include <string>
#include <vector>

struct libscols_table;

namespace blkfilter::tool {

/// A table with a heading; columns are as wide as their widest cell.
class Table {
public:
    enum class Align : unsigned char { left, right };
    struct Column {
        const char* heading;
        Align align;
    };

    explicit Table(std::initializer_list<Column> columns);

    /// One cell for each column.
    void add_row(const std::vector<std::string>& cells);

    /// Lines with newlines; nothing at all when there is no row.
    [[nodiscard]] std::string to_string() const;

private:
    struct Release {
        void operator()(libscols_table* table) const;
    };
    std::unique_ptr<libscols_table, Release> table_;
};

} // namespace blkfilter::tool
