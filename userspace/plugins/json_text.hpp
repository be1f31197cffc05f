// SPDX-License-Identifier: MIT
/// @file
/// Texts in answers.
#pragma once

#include <nlohmann/json.hpp>

#include <string>

namespace filterd {

/// An empty text is none.
inline nlohmann::ordered_json text_or_null(const std::string& text) {
    return text.empty() ? nlohmann::ordered_json{} : nlohmann::ordered_json(text);
}

} // namespace filterd
