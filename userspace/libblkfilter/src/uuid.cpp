// SPDX-License-Identifier: MIT
#include <blkfilter/bytes.hpp>
#include <blkfilter/uuid.hpp>
#include <linux/blkfilter-control.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <fmt/format.h>
#include <ranges>

namespace blkfilter {

static_assert(Uuid::length_bytes == BLKFILTER_ID_LENGTH);

namespace {

/// Where the dashes are in the usual form, and its length.
constexpr std::array<std::size_t, 4> dashes{8, 13, 18, 23};
constexpr std::size_t usual_length = 36;

} // namespace

Uuid Uuid::random() {
    Array bytes;
    arc4random_buf(bytes.data(), bytes.size());
    bytes[6] = (bytes[6] & std::byte{0x0f}) | std::byte{0x40}; // version: random
    bytes[8] = (bytes[8] & std::byte{0x3f}) | std::byte{0x80}; // variant: RFC 4122
    return Uuid{bytes};
}

Result<Uuid> Uuid::parse(std::string_view text) {
    std::string digits{text};
    if (digits.size() == usual_length) {
        for (auto dash : std::views::reverse(dashes)) {
            if (digits[dash] == '-')
                digits.erase(dash, 1);
        }
    }
    const auto bytes = from_hex(digits);
    if (!bytes || bytes->size() != length_bytes)
        return std::unexpected(
            Error{.code = EINVAL,
                  .message = fmt::format("id '{}': not 32 hexadecimal digits, bare or grouped "
                                         "8-4-4-4-12 with dashes",
                                         text)});
    Array array;
    std::ranges::copy(*bytes, array.begin());
    return Uuid{array};
}

std::string Uuid::to_string() const {
    auto text = to_hex(bytes_);
    for (auto dash : dashes)
        text.insert(dash, 1, '-');
    return text;
}

} // namespace blkfilter
