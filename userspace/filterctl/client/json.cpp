// SPDX-License-Identifier: MIT
#include "client/json.hpp"

namespace filterctl {

const Json& member(const Json& object, std::string_view key) {
    static const Json null;
    const auto found = object.is_object() ? object.find(key) : object.end();
    return found == object.end() ? null : *found;
}

const Json& list_of(const Json& object, std::string_view key) {
    static const Json none = Json::array();
    const auto& value = member(object, key);
    return value.is_array() ? value : none;
}

std::string text_of(const Json& object, std::string_view key) {
    const auto& value = member(object, key);
    return value.is_string() ? value.get<std::string>() : std::string{};
}

std::uint64_t number_of(const Json& object, std::string_view key) {
    const auto& value = member(object, key);
    return value.is_number_integer() && value >= 0 ? value.get<std::uint64_t>() : 0;
}

bool is_true(const Json& object, std::string_view key) {
    const auto& value = member(object, key);
    return value.is_boolean() && value.get<bool>();
}

std::string line_of(const Json& value) {
    return value.dump(-1, ' ', false, Json::error_handler_t::replace);
}

} // namespace filterctl
