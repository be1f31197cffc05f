// SPDX-License-Identifier: MIT
/// @file
/// Lines of the control socket (docs/control-protocol.md): nothing here reads or writes.
#pragma once

#include <blkfilter/error.hpp>

#include <cstddef>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>

namespace filterd::control {

inline constexpr int protocol_version = 1;
inline constexpr std::size_t most_line_bytes = 64 << 10;

/// What a client asks for.
struct Request {
    std::uint64_t id{};
    std::string method{};
    nlohmann::json params = nlohmann::json::object();
};

/// A line without its newline. EINVAL: what is wrong with it.
blkfilter::Result<Request> parse_request(std::string_view line);

/// Each with its newline.
std::string hello(std::string_view version);
std::string result_line(std::uint64_t id, const nlohmann::json& result);
/// Without an id: to what is no request.
std::string error_line(std::optional<std::uint64_t> id, const blkfilter::Error& error,
                       const nlohmann::json& details = nullptr);
std::string progress_line(std::uint64_t id, const nlohmann::json& progress);
std::string event_line(std::uint64_t id, const nlohmann::json& event);

/// The word for an errno: "not-found".
std::string_view code_of(int error);

/// Cuts what arrives into lines.
class LineReader {
public:
    /// False: a line is too long, and nothing more can be read.
    bool add(std::string_view bytes);
    /// The next whole line.
    std::optional<std::string> next();

private:
    std::string buffer_;
    std::size_t searched_{}; ///< no newline up to here
};

} // namespace filterd::control
