// SPDX-License-Identifier: MIT
#include "moment.hpp"

#include <chrono>
#include <fmt/chrono.h>
#include <fstream>

namespace filterd {

std::string boot_id() {
    std::ifstream file{"/proc/sys/kernel/random/boot_id"};
    std::string id;
    std::getline(file, id);
    return id;
}

std::string now_as_text() {
    return fmt::format("{:%FT%TZ}",
                       std::chrono::floor<std::chrono::seconds>(std::chrono::system_clock::now()));
}

} // namespace filterd
