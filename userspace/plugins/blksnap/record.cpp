// SPDX-License-Identifier: MIT
#include "record.hpp"

#include <blkfilter-common/replace_file.hpp>

#include <fmt/format.h>
#include <fstream>
#include <system_error>

namespace filterd::snapshots {

using blkfilter::Uuid;
using nlohmann::json;
namespace common = blkfilter::common;

namespace {

constexpr const char* announcement_name = "announcement";

json to_json(const Member& member) {
    return {{"major", member.id.major},
            {"minor", member.id.minor},
            {"diskseq", member.id.diskseq},
            {"name", member.name},
            {"declared", member.declared}};
}

Member member_of(const json& from) {
    return {.id = {.major = from.at("major"), .minor = from.at("minor"), .diskseq = from.at("diskseq")},
            .name = from.at("name"),
            .declared = from.at("declared")};
}

} // namespace

json to_json(const Record& record) {
    auto devices = json::array();
    for (const auto& member : record.devices)
        devices.push_back(to_json(member));
    const auto& [path, is_device, limit_bytes, step_bytes, warn_thousandths] = record.policy;
    return {{"id", record.id.to_string()},
            {"label", record.label},
            {"group", record.group},
            {"created", record.created},
            {"taken", record.taken},
            {"devices", std::move(devices)},
            {"storage",
             {{"path", path},
              {"is_device", is_device},
              {"limit_bytes", limit_bytes},
              {"step_bytes", step_bytes},
              {"warn_thousandths", warn_thousandths}}},
            {"hooks",
             {{"before", record.hooks.before},
              {"after", record.hooks.after},
              {"seconds", record.hooks.seconds},
              {"after_is_due", record.hooks.after_is_due}}}};
}

Record record_of(const json& from) {
    const auto& storage = from.at("storage");
    const auto& hooks = from.at("hooks");
    Record record{.id = Uuid::parse(from.at("id").get<std::string>()).value_or(Uuid{}),
                  .label = from.at("label"),
                  .group = from.at("group"),
                  .created = from.at("created"),
                  .taken = from.at("taken"),
                  .devices = {},
                  .policy = {.path = storage.at("path"),
                             .is_device = storage.at("is_device"),
                             .limit_bytes = storage.at("limit_bytes"),
                             .step_bytes = storage.at("step_bytes"),
                             .warn_thousandths = storage.at("warn_thousandths")},
                  .hooks = {.before = hooks.at("before"),
                            .after = hooks.at("after"),
                            .seconds = hooks.at("seconds"),
                            .after_is_due = hooks.at("after_is_due")}};
    for (const auto& device : from.at("devices"))
        record.devices.push_back(member_of(device));
    return record;
}

Records::Records(std::filesystem::path folder, std::string boot)
    : folder_{std::move(folder)}, boot_{std::move(boot)} {
    std::filesystem::create_directories(folder_);
}

std::filesystem::path Records::file_of(const Uuid& id) const {
    return folder_ / (id.to_string() + ".json");
}

/// Whole, or not at all. It need not outlast the machine.
void Records::write(const std::filesystem::path& file, json document) const {
    document["boot"] = boot_;
    common::replace_file(file, document.dump(2) + '\n', common::Durability::process);
}

void Records::write(const Record& record) const {
    write(file_of(record.id), to_json(record));
}

void Records::remove(const Uuid& id) const {
    std::error_code ignored;
    std::filesystem::remove(file_of(id), ignored);
}

Records::Announcement Records::announce(const std::vector<Uuid>& known) const {
    auto ids = json::array();
    for (const auto& id : known)
        ids.push_back(id.to_string());
    write(folder_ / announcement_name, {{"known", std::move(ids)}});
    return Announcement{*this};
}

void Records::end_announcement() const {
    std::error_code ignored;
    std::filesystem::remove(folder_ / announcement_name, ignored);
}

std::optional<std::vector<Uuid>> Records::announced() const {
    std::ifstream file{folder_ / announcement_name};
    const auto document = json::parse(file, nullptr, false);
    if (!document.is_object() || document.value("boot", "") != boot_)
        return {};
    std::vector<Uuid> known;
    for (const auto& id : document.value("known", json::array()))
        known.push_back(Uuid::parse(id.is_string() ? id.get<std::string>() : "").value_or(Uuid{}));
    return known;
}

std::vector<Record> Records::read(std::vector<std::string>& wrong) const {
    std::vector<Record> records;
    for (const auto& entry : std::filesystem::directory_iterator{folder_}) {
        if (entry.path().extension() != ".json")
            continue;
        std::ifstream file{entry.path()};
        try {
            const auto document = json::parse(file);
            if (document.at("boot") == boot_)
                records.push_back(record_of(document));
            else
                std::filesystem::remove(entry.path());
        } catch (const std::exception& error) {
            wrong.push_back(fmt::format("{}: {}", entry.path().string(), error.what()));
        }
    }
    return records;
}

} // namespace filterd::snapshots
