// SPDX-License-Identifier: MIT
#include <blkfilter/bytes.hpp>
#include <blkfilter/uuid.hpp>
#include <linux/blkfilter-control.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <fmt/format.h>

namespace blkfilter {

static_assert(Uuid::length_bytes == BLKFILTER_ID_LENGTH);

Uuid Uuid::random() {
    Array bytes;
    arc4random_buf(bytes.data(), bytes.size());
    bytes[6] = (bytes[6] & std::byte{0x0f}) | std::byte{0x40}; // version: random
    bytes[8] = (bytes[8] & std::byte{0x3f}) | std::byte{0x80}; // variant: RFC 4122
    return Uuid{bytes};
}

Result<Uuid> Uuid::parse(std::string_view text) {
    std::string digits{text};
    if (digits.size() == 36) {
        for (std::size_t dash : {23, 18, 13, 8}) {
            if (digits[dash] == '-')
                digits.erase(dash, 1);
        }
    }
    const auto bytes = from_hex(digits);
    if (!bytes || bytes->size() != length_bytes)
        return std::unexpected(
            Error{EINVAL, fmt::format("id '{}': not 32 hexadecimal digits, bare or grouped "
                                      "8-4-4-4-12 with dashes",
                                      text)});
    Array array;
    std::ranges::copy(*bytes, array.begin());
    return Uuid{array};
}

std::string Uuid::to_string() const {
    auto text = to_hex(bytes_);
    for (std::size_t dash : {20, 16, 12, 8})
        text.insert(dash, 1, '-');
    return text;
}

} // namespace blkfilter
