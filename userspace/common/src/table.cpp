// SPDX-License-Identifier: MIT
#include <blkfilter-common/table.hpp>

#include <cstdlib>
#include <libsmartcols/libsmartcols.h>
#include <new>

namespace blkfilter::common {

namespace {

/// libsmartcols fails only for want of memory.
template <class T>
T* require(T* object) {
    if (!object)
        throw std::bad_alloc{};
    return object;
}

void require_done(int status) {
    if (status != 0)
        throw std::bad_alloc{};
}

} // namespace

void Table::Release::operator()(libscols_table* table) const {
    scols_unref_table(table);
}

Table::Table(std::span<const Column> columns) : table_{require(scols_new_table())} {
    for (const auto& column : columns)
        require(scols_table_new_column(table_.get(), column.heading, static_cast<double>(column.least_width),
                                       column.align == Align::right ? SCOLS_FL_RIGHT : 0));
}

void Table::add_row(const std::vector<std::string>& cells) {
    auto* line = require(scols_table_new_line(table_.get(), nullptr));
    for (std::size_t column = 0; column < cells.size(); ++column)
        require_done(scols_line_set_data(line, column, cells[column].c_str()));
}

void Table::hide_heading() {
    require_done(scols_table_enable_noheadings(table_.get(), 1));
}

std::string Table::to_string() const {
    if (scols_table_get_nlines(table_.get()) == 0)
        return {};
    char* text = nullptr;
    require_done(scols_print_table_to_string(table_.get(), &text));
    const std::unique_ptr<char, decltype(&std::free)> owner{text, &std::free};
    std::string result{text};
    if (!result.ends_with('\n'))
        result += '\n';
    return result;
}

std::size_t Table::width(std::size_t column) const {
    return scols_column_get_width(require(scols_table_get_column(table_.get(), column)));
}

} // namespace blkfilter::common
