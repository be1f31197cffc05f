// SPDX-License-Identifier: MIT
#include "control/protocol.hpp"

#include <cerrno>
#include <fmt/format.h>

namespace filterd::control {

using blkfilter::Error;
using blkfilter::Result;
using nlohmann::json;

namespace {

std::unexpected<Error> invalid(std::string message) {
    return std::unexpected(Error{.code = EINVAL, .message = std::move(message)});
}

/// What came from elsewhere may not be UTF-8.
std::string line(const json& value) {
    return value.dump(-1, ' ', false, json::error_handler_t::replace) + '\n';
}

/// Nested lists take a stack frame each, when they are destroyed too.
bool is_too_deep(std::string_view text) {
    constexpr int most = 32;
    int depth = 0;
    for (const char c : text) {
        depth += c == '[' || c == '{' ? 1 : c == ']' || c == '}' ? -1 : 0;
        if (depth > most)
            return true;
    }
    return false;
}

} // namespace

Result<Request> parse_request(std::string_view text) {
    if (is_too_deep(text))
        return invalid("not a request: it is nested too deeply");
    const auto value = json::parse(text, nullptr, false);
    if (!value.is_object())
        return invalid("not a request: each line is a JSON object");
    Request request;
    const auto id = value.find("id");
    if (id == value.end() || !id->is_number_unsigned())
        return invalid("not a request: 'id' must be a number");
    request.id = id->get<std::uint64_t>();
    const auto method = value.find("method");
    if (method == value.end() || !method->is_string())
        return invalid("not a request: 'method' must be a text");
    request.method = method->get<std::string>();
    if (const auto params = value.find("params"); params != value.end() && !params->is_null()) {
        if (!params->is_object())
            return invalid("not a request: 'params' must be an object");
        request.params = *params;
    }
    return request;
}

std::string hello(std::string_view version) {
    return line({{"filterd", version}, {"protocol", protocol_version}});
}

std::string result_line(std::uint64_t id, const json& result) {
    return line({{"id", id}, {"result", result}});
}

std::string error_line(std::optional<std::uint64_t> id, const Error& error, const json& details) {
    json body{{"code", code_of(error.code)}, {"message", error.message}};
    if (!details.is_null())
        body["details"] = details;
    return line({{"id", id ? json(*id) : json{}}, {"error", std::move(body)}});
}

std::string progress_line(std::uint64_t id, const json& progress) {
    return line({{"id", id}, {"progress", progress}});
}

std::string event_line(std::uint64_t id, const json& event) {
    return line({{"id", id}, {"event", event}});
}

std::string_view code_of(int error) {
    switch (error) {
    case EINVAL:
    case ERANGE:
        return "invalid";
    case EACCES:
        return "denied";
    case ENOENT:
    case ENODEV:
        return "not-found";
    case EPERM:
    case EBUSY:
    case EEXIST:
    case EALREADY:
        return "refused";
    case ETIMEDOUT:
        return "timeout";
    case EINPROGRESS:
        return "partly";
    default:
        return "failed";
    }
}

bool LineReader::add(std::string_view bytes) {
    buffer_ += bytes;
    return buffer_.find('\n', searched_) != std::string::npos || buffer_.size() <= most_line_bytes;
}

std::optional<std::string> LineReader::next() {
    const auto end = buffer_.find('\n', searched_);
    if (end == std::string::npos) {
        searched_ = buffer_.size();
        return {};
    }
    auto text = buffer_.substr(0, end);
    buffer_.erase(0, end + 1);
    searched_ = 0;
    return text;
}

} // namespace filterd::control
