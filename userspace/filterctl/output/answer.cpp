// SPDX-License-Identifier: MIT
#include "output/answer.hpp"
#include "output/document.hpp"

#include <algorithm>
#include <fmt/format.h>
#include <string>
#include <vector>

namespace filterctl {

namespace {

/// More columns do not fit beside each other.
constexpr std::size_t most_columns = 12;

std::unexpected<Failure> not_an_answer(const char* why) {
    return fail("failed", fmt::format("filterd sent an answer that is none: {}", why));
}

} // namespace

/// All pages are of one kind.
Result<void> AnswerPrinter::begin(Kind kind) {
    if (kind_ == Kind::nothing)
        print_head(kind);
    if (kind_ != kind)
        return not_an_answer("records and text");
    return {};
}

void AnswerPrinter::print_head(Kind kind) {
    kind_ = kind;
    if (as_json_)
        output_->print(fmt::format(R"({{"version":{},"{}":{})", document_version,
                                   kind == Kind::records ? "records" : "text",
                                   kind == Kind::records ? '[' : '"'));
}

/// All there is to say of one thing: a line for each key.
void AnswerPrinter::print_details(const Json& record, const Json& columns) {
    std::vector<std::string> keys;
    for (const auto& column : columns)
        if (column.is_string() && record.contains(column.get<std::string>()))
            keys.push_back(column.get<std::string>());
    output_->print(lines_of(record, keys));
}

void AnswerPrinter::print_records(const Json& records, const Json& columns) {
    if (!as_json_) {
        output_->print(table_.page(records, columns));
        return;
    }
    for (const auto& record : records) {
        output_->print((is_first_record_ ? "\n" : ",\n") + line_of(record));
        is_first_record_ = false;
    }
}

void AnswerPrinter::print_text(const Json& text) {
    if (!as_json_) {
        output_->print(text.get_ref<const std::string&>());
        return;
    }
    // A part of a longer text: without the quotes around it.
    const auto line = line_of(text);
    output_->print(std::string_view{line}.substr(1, line.size() - 2));
}

Result<void> AnswerPrinter::page(const Json& page) {
    const auto& records = member(page, "records");
    const auto& text = member(page, "text");
    if (records.is_array() && std::ranges::all_of(records, &Json::is_object)) {
        // The last page of a text may be one of no records.
        if (records.empty())
            return {};
        const bool is_whole = kind_ == Kind::nothing && member(page, "cursor").is_null();
        if (auto begun = begin(Kind::records); !begun)
            return begun;
        const auto& columns = list_of(page, "columns");
        if (!as_json_ && is_whole && records.size() == 1 && records[0].size() > most_columns)
            print_details(records[0], columns);
        else
            print_records(records, columns);
    } else if (text.is_string()) {
        if (auto begun = begin(Kind::text); !begun)
            return begun;
        print_text(text);
    } else {
        return not_an_answer("neither records nor text");
    }
    output_->flush();
    return {};
}

void AnswerPrinter::end(const Failure* failure) {
    if (!as_json_ || (kind_ == Kind::nothing && failure))
        return;
    if (kind_ == Kind::nothing)
        print_head(Kind::records);
    output_->print(kind_ == Kind::text ? "\"" : is_first_record_ ? "]" : "\n]");
    if (failure)
        output_->print(R"(,"error":)" + line_of(json_of(*failure)));
    output_->print("}\n");
}

} // namespace filterctl
