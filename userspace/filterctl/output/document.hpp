// SPDX-License-Identifier: MIT
/// @file
/// What --json prints.
#pragma once

#include "client/json.hpp"

#include <string>

namespace filterctl {

/// Of every JSON document that is printed: its member "version". A change that a reader can trip over
/// increases it.
inline constexpr int document_version = 1;

/// An object with the version in front, over several lines.
std::string document_of(const Json& object);

/// The same in one line, for documents that follow each other.
std::string line_document_of(const Json& object);

} // namespace filterctl
