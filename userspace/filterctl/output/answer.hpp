// SPDX-License-Identifier: MIT
/// @file
/// The answer of a plugin's command, which comes in pages.
#pragma once

#include "client/failure.hpp"
#include "output/output.hpp"
#include "output/records.hpp"

namespace filterctl {

/// Prints pages as they come, and keeps none: records as a table, one alone that is too wide for that as
/// lines, text as it is; or all as one JSON document.
class AnswerPrinter {
public:
    AnswerPrinter(Output& output, bool as_json) : output_{&output}, as_json_{as_json} {}

    /// Prints @p page, an object with "records" and perhaps "columns", or with "text". "failed": it is
    /// something else.
    Result<void> page(const Json& page);

    /// After the last page. A failure in between becomes part of the JSON document, which is whole with it.
    void end(const Failure* failure = nullptr);

private:
    /// What the JSON document has begun with.
    enum class Kind { nothing, records, text };

    Result<void> begin(Kind kind);
    void print_head(Kind kind);
    void print_details(const Json& record, const Json& columns);
    void print_records(const Json& records, const Json& columns);
    void print_text(const Json& text);

    Output* output_;
    bool as_json_;
    Kind kind_ = Kind::nothing;
    bool is_first_record_ = true;
    RecordTable table_;
};

} // namespace filterctl
