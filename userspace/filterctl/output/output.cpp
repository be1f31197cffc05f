// SPDX-License-Identifier: MIT
#include "output/output.hpp"

#include <cerrno>
#include <system_error>
#include <unistd.h>
#include <utility>

namespace filterctl {

void Output::print(std::string_view text) {
    constexpr std::size_t much = 64U << 10;
    used_ = used_ || !text.empty();
    waiting_ += text;
    if (waiting_.size() >= much)
        flush();
}

void Output::flush() {
    const auto text = std::exchange(waiting_, {});
    for (std::string_view rest = text; !rest.empty();) {
        const auto written = ::write(descriptor_, rest.data(), rest.size());
        if (written >= 0)
            rest.remove_prefix(static_cast<std::size_t>(written));
        else if (errno == EPIPE)
            throw NobodyReads{};
        else if (errno != EINTR)
            throw std::system_error{errno, std::generic_category(), "standard output"};
    }
}

} // namespace filterctl
