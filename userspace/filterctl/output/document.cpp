// SPDX-License-Identifier: MIT
#include "output/document.hpp"

namespace filterctl {

namespace {

Json versioned(const Json& object) {
    Json document{{"version", document_version}};
    for (const auto& [key, value] : object.items())
        if (key != "version")
            document[key] = value;
    return document;
}

} // namespace

std::string document_of(const Json& object) {
    return versioned(object).dump(2, ' ', false, Json::error_handler_t::replace) + '\n';
}

std::string line_document_of(const Json& object) {
    return line_of(versioned(object)) + '\n';
}

} // namespace filterctl
