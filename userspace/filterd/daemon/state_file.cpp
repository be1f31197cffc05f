// SPDX-License-Identifier: MIT
#include "daemon/state_file.hpp"

#include <fmt/format.h>
#include <fstream>
#include <stdexcept>

namespace filterd {

nlohmann::json read_state(const std::filesystem::path& file) {
    std::ifstream stream{file};
    auto content = nlohmann::json::parse(stream, nullptr, false);
    return content.is_discarded() ? nlohmann::json{} : content;
}

void write_state(const std::filesystem::path& file, const nlohmann::json& content) {
    if (file.empty())
        return;
    if (content.is_null()) {
        std::filesystem::remove(file);
        return;
    }
    auto next = file;
    next += ".new";
    std::ofstream stream{next};
    stream << content.dump() << std::flush;
    if (!stream)
        throw std::runtime_error{fmt::format("{}: cannot be written", next.string())};
    stream.close();
    std::filesystem::rename(next, file);
}

} // namespace filterd
