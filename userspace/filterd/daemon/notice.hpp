// SPDX-License-Identifier: MIT
/// @file
/// What filterd says of what happens: to the journal and to whoever watches.
#pragma once

#include <functional>
#include <string>

namespace filterd {

/// As in <syslog.h>.
enum class Priority : int { error = 3, warning = 4, notice = 5, info = 6, debug = 7 };

struct Notice {
    Priority priority{Priority::info};
    std::string type{};   ///< one word for programs, such as "applied"
    std::string text{};   ///< a line for people
    std::string device{}; ///< the kernel's name of it; empty: about none
    std::string filter{}; ///< empty: about none
};

using Tell = std::function<void(const Notice&)>;

} // namespace filterd
