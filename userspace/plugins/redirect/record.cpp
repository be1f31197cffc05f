// SPDX-License-Identifier: MIT
#include "record.hpp"

#include <blkfilter-common/replace_file.hpp>

#include <algorithm>
#include <fmt/format.h>
#include <fstream>
#include <system_error>

namespace filterd::redirects {

using blkfilter::Uuid;
using nlohmann::json;

bool Record::is_of(const std::string& name, const std::vector<std::string>& names) const {
    if (lasting_names.empty())
        return name == source_name;
    return std::ranges::any_of(names, [this](const std::string& one) {
        return std::ranges::find(lasting_names, one) != lasting_names.end();
    });
}

bool Record::is_certain(const Roots& roots) const {
    return !lasting_names.empty() && (place.kind == Place::Kind::target || is_lasting(target, roots));
}

json to_json(const Record& record) {
    return {{"id", record.id.to_string()},
            {"boot", record.boot},
            {"source",
             {{"major", record.source.major},
              {"minor", record.source.minor},
              {"diskseq", record.source.diskseq},
              {"name", record.source_name},
              {"lasting_names", record.lasting_names}}},
            {"target", record.target},
            {"target_sector", record.target_sector},
            {"record", {{"place", to_string(record.place.kind)}, {"path", record.place.path}}},
            {"mode", static_cast<std::uint32_t>(record.mode)},
            {"rate", record.bytes_per_second},
            {"in_flight", record.in_flight},
            {"no_atomic_writes", record.no_atomic_writes},
            {"started", record.started},
            {"cuts_over_itself", record.cuts_over_itself},
            {"cut_over", record.cut_over}};
}

Record record_of(const json& from) {
    const auto& source = from.at("source");
    // What an earlier filterd has written has no kernel's record.
    const auto place = from.value("record", json{{"place", "none"}, {"path", ""}});
    return {
        .id = Uuid::parse(from.at("id").get<std::string>()).value_or(Uuid{}),
        .boot = from.at("boot"),
        .source = {.major = source.at("major"), .minor = source.at("minor"), .diskseq = source.at("diskseq")},
        .source_name = source.at("name"),
        .lasting_names = source.at("lasting_names"),
        .target = from.at("target"),
        .target_sector = from.value("target_sector", std::uint64_t{0}),
        .place = {.kind = kind_of(place.at("place")), .path = place.at("path")},
        .mode = static_cast<blkfilter::redirect::Mode>(from.value("mode", std::uint32_t{0})),
        .bytes_per_second = from.value("rate", std::uint64_t{0}),
        .in_flight = from.value("in_flight", std::uint32_t{0}),
        .no_atomic_writes = from.value("no_atomic_writes", false),
        .started = from.at("started"),
        .cuts_over_itself = from.at("cuts_over_itself"),
        .cut_over = from.at("cut_over")};
}

std::filesystem::path Records::file_of(const Uuid& id) const {
    return folder_ / (id.to_string() + ".json");
}

void Records::write(const Record& record) const {
    std::filesystem::create_directories(folder_);
    blkfilter::common::replace_file(file_of(record.id), to_json(record).dump(2) + '\n',
                                    blkfilter::common::Durability::machine);
}

void Records::remove(const Uuid& id) const {
    std::error_code ignored;
    std::filesystem::remove(file_of(id), ignored);
}

std::vector<Record> Records::read(std::vector<std::string>& wrong) const {
    std::vector<Record> records;
    std::error_code error;
    auto at = std::filesystem::directory_iterator{folder_, error};
    for (; !error && at != std::filesystem::directory_iterator{}; at.increment(error)) {
        if (at->path().extension() != ".json")
            continue;
        std::ifstream file{at->path()};
        try {
            records.push_back(record_of(json::parse(file)));
        } catch (const std::exception& failed) {
            wrong.push_back(fmt::format("{}: {}", at->path().string(), failed.what()));
        }
    }
    // Before the first migration there is no folder.
    if (error && error != std::errc::no_such_file_or_directory)
        wrong.push_back(fmt::format("{}: {}", folder_.string(), error.message()));
    std::ranges::sort(records, {}, &Record::started);
    return records;
}

} // namespace filterd::redirects
