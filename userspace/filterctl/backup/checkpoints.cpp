// SPDX-License-Identifier: MIT
#include "backup/checkpoints.hpp"

#include <algorithm>
#include <fmt/format.h>

namespace filterctl::backup {

namespace {

Json request_of(const char* command, const std::string& device, Json arguments) {
    return {{"command", command}, {"device", device}, {"arguments", std::move(arguments)}};
}

} // namespace

Result<void> CheckpointClient::name(const std::string& device, const std::string& name,
                                    const std::string& snapshot) const {
    const auto named =
        plugin_.ask_once(request_of("checkpoint", device, {{"name", name}, {"point", snapshot}}));
    return named ? Result<void>{}
                 : fail("refused", fmt::format("{}: cbt-only has no checkpoint of the snapshot's instant: {}",
                                               device, named.error().message));
}

Result<void> CheckpointClient::remove(const std::string& device, const std::string& name) const {
    auto removed = plugin_.ask(request_of("delete", device, {{"name", name}}), [](const Json&) {});
    return !removed && removed.error().code == "not-found" ? Result<void>{} : removed;
}

Result<void> CheckpointClient::check(const std::string& device, const std::string& name) const {
    bool is_there = false;
    const auto asked = plugin_.ask(request_of("list", device, Json::object()), [&](const Json& page) {
        is_there = is_there || std::ranges::any_of(list_of(page, "records"), [&](const Json& record) {
                       return text_of(record, "name") == name;
                   });
    });
    if (!asked)
        return fail("refused", asked.error().message);
    return is_there
               ? Result<void>{}
               : fail("refused", "its checkpoint was deleted, or the history of cbt-only has begun anew");
}

Result<std::vector<ByteRange>> CheckpointClient::changes(const std::string& device,
                                                         const std::string& name) const {
    return plugin_.ask_ranges(request_of("extents", device, {{"checkpoint", name}}));
}

} // namespace filterctl::backup
