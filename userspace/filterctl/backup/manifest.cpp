// SPDX-License-Identifier: MIT
#include "backup/manifest.hpp"

#include "backup/program.hpp"

#include <blkfilter-common/replace_file.hpp>

#include <algorithm>
#include <boost/crc.hpp>
#include <cerrno>
#include <cstring>
#include <fmt/format.h>
#include <fstream>
#include <system_error>

namespace filterctl::backup {

namespace common = blkfilter::common;

namespace {

constexpr std::uint64_t version = 1;
constexpr const char* sum_name = "crc32";

/// However it is laid out. Against damage that leaves it well-formed, a digit, not against people.
std::uint32_t sum_of(const Json& json) {
    const auto text = json.dump();
    boost::crc_32_type sum;
    sum.process_bytes(text.data(), text.size());
    return sum.checksum();
}

Json to_json(const Copy& copy) {
    return {{"device", copy.device},
            {"size_bytes", copy.base.size_bytes},
            {"block_bytes", copy.base.block_bytes},
            {"generation", copy.base.generation.to_string()},
            {"epoch", copy.base.number},
            {"checkpoint", copy.checkpoint.empty() ? Json{} : Json(copy.checkpoint)},
            {"file", copy.file},
            {"file_bytes", copy.file_bytes},
            {"sha256", copy.sha256},
            {"copied_bytes", copy.copied_bytes}};
}

/// Without a size when it is none.
Base base_of(const Json& json) {
    return Base::parse(fmt::format("{}/{}/{}/{}", text_of(json, "generation"), number_of(json, "epoch"),
                                   number_of(json, "size_bytes"), number_of(json, "block_bytes")))
        .value_or(Base{});
}

Copy copy_of(const Json& json) {
    return {.device = text_of(json, "device"),
            .base = base_of(json),
            .checkpoint = text_of(json, "checkpoint"),
            .file = text_of(json, "file"),
            .file_bytes = number_of(json, "file_bytes"),
            .sha256 = text_of(json, "sha256"),
            .copied_bytes = number_of(json, "copied_bytes")};
}

/// A manifest comes from a disk that somebody else may have written to: its files are in its folder.
bool is_sound(const Copy& copy) {
    return !copy.device.empty() && !copy.file.empty() && copy.file.find('/') == std::string::npos &&
           copy.file != ".." && copy.base.size_bytes != 0;
}

} // namespace

const Copy* Manifest::find(const std::string& device) const {
    const auto found = std::ranges::find(devices, device, &Copy::device);
    return found == devices.end() ? nullptr : &*found;
}

Json to_json(const Manifest& manifest) {
    auto devices = Json::array();
    for (const auto& copy : manifest.devices)
        devices.push_back(to_json(copy));
    return {{"version", version},
            {"kind", manifest.parent ? "incremental" : "full"},
            {"number", manifest.number},
            {"parent", manifest.parent ? Json(*manifest.parent) : Json{}},
            {"parent_sha256", manifest.parent ? Json(manifest.parent_sha256) : Json{}},
            {"created", manifest.created},
            {"group", manifest.group},
            {"devices", std::move(devices)}};
}

Result<Manifest> manifest_of(const Json& json, const std::string& where) {
    if (number_of(json, "version") != version)
        return fail("failed", fmt::format("{}: not a manifest of version {}", where, version));
    Manifest manifest{.number = number_of(json, "number"),
                      .parent = {},
                      .parent_sha256 = text_of(json, "parent_sha256"),
                      .created = text_of(json, "created"),
                      .group = text_of(json, "group"),
                      .devices = {}};
    if (text_of(json, "kind") == "incremental")
        manifest.parent = number_of(json, "parent");
    for (const auto& device : list_of(json, "devices"))
        manifest.devices.push_back(copy_of(device));
    const bool has_parent_before_it =
        !manifest.parent || (*manifest.parent >= 1 && *manifest.parent < manifest.number);
    if (manifest.devices.empty() || !std::ranges::all_of(manifest.devices, is_sound) || !has_parent_before_it)
        return fail("failed", fmt::format("{}: the manifest is damaged", where));
    return manifest;
}

// --- files ---

Result<Json> read_json(const std::filesystem::path& path) {
    std::ifstream file{path};
    if (!file)
        return fail(errno == ENOENT ? "not-found" : "failed",
                    fmt::format("{}: {}", path.string(), std::strerror(errno)));
    auto json = Json::parse(file, nullptr, false);
    if (!json.is_object())
        return fail("failed", fmt::format("{}: is damaged", path.string()));
    // Those that were written by the first versions have none.
    if (json.contains(sum_name)) {
        const auto sum = number_of(json, sum_name);
        json.erase(sum_name);
        if (sum != sum_of(json))
            return fail("failed", fmt::format("{}: is damaged: its checksum is another one", path.string()));
    }
    return json;
}

Result<void> sync_folder(const std::filesystem::path& folder) {
    try {
        common::sync_folder(folder);
        return {};
    } catch (const std::system_error& error) {
        return fail("failed", error.what());
    }
}

Result<void> write_json(const std::filesystem::path& path, Json json) {
    json[sum_name] = sum_of(json);
    try {
        common::replace_file(path, json.dump(2) + '\n', common::Durability::machine);
        return {};
    } catch (const std::system_error& error) {
        return fail("failed", error.what());
    }
}

Result<std::string> sha256_of(const std::filesystem::path& path) {
    const auto said = run_program({"sha256sum", "--binary", "--", path.string()});
    if (!said)
        return said;
    // "\" in front where the name has letters that had to be written otherwise.
    const auto sum = said->substr(said->starts_with('\\') ? 1 : 0);
    return sum.substr(0, sum.find(' '));
}

} // namespace filterctl::backup
