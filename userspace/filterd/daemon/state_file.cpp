// SPDX-License-Identifier: MIT
#include "daemon/state_file.hpp"

#include <blkfilter-common/replace_file.hpp>

#include <fstream>

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
    blkfilter::common::replace_file(file, content.dump(), blkfilter::common::Durability::process);
}

} // namespace filterd
