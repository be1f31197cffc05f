// SPDX-License-Identifier: MIT
#include <blkfilter/bytes.hpp>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstdint>
#include <fmt/format.h>
#include <iterator>

namespace blkfilter {

Bytes to_bytes(std::string_view text) {
    const auto bytes = std::as_bytes(std::span{text});
    return {bytes.begin(), bytes.end()};
}

std::string to_hex(std::span<const std::byte> bytes) {
    std::string text;
    text.reserve(2 * bytes.size());
    for (auto byte : bytes)
        fmt::format_to(std::back_inserter(text), "{:02x}", std::to_integer<unsigned>(byte));
    return text;
}

Result<Bytes> from_hex(std::string_view text) {
    const auto bad = [&](std::string_view why) {
        return std::unexpected(
            Error{.code = EINVAL, .message = fmt::format("hexadecimal '{}': {}", text, why)});
    };
    if (text.size() % 2 != 0)
        return bad("an odd number of digits");
    if (text.find_first_not_of("0123456789abcdefABCDEF") != text.npos)
        return bad("something else than 0-9 and a-f");

    Bytes bytes;
    bytes.reserve(text.size() / 2);
    for (std::size_t i = 0; i < text.size(); i += 2) {
        std::uint8_t value{};
        std::from_chars(text.data() + i, text.data() + i + 2, value, 16);
        bytes.push_back(std::byte{value});
    }
    return bytes;
}

} // namespace blkfilter
