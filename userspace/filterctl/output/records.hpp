// SPDX-License-Identifier: MIT
/// @file
/// Records, which are objects whose members nobody here knows, as a table.
#pragma once

#include "client/json.hpp"

#include <cstddef>
#include <string>
#include <vector>

namespace filterctl {

/// A value as people read it in a cell or behind a key: a text as it is, "-" for null, a list of such values
/// with commas.
std::string cell_of(const Json& value);

/// A table that comes in pages: it begins before its end is known.
class RecordTable {
public:
    /// The lines of more records, a list of objects. Their keys are the columns: those of the texts
    /// @p columns, then others in the order in which they first come. The heading is in the first page, and
    /// again in one that brings new columns.
    std::string page(const Json& records, const Json& columns = Json::array());

private:
    struct Column {
        std::string key;
        std::string heading;
        bool numeric;
        std::size_t width; ///< so far
    };

    void add_column(const std::string& key, const Json& records);
    bool add_columns(const Json& records, const Json& columns);

    std::vector<Column> columns_;
};

/// A table of the given members only.
std::string table_of(const Json& records, const std::vector<std::string>& keys);

/// "KEY: VALUE" for each member of a record that is not null or an empty text, one a line: @p first_keys in
/// their order, then the others.
std::string lines_of(const Json& record, const std::vector<std::string>& first_keys);

} // namespace filterctl
