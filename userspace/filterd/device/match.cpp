// SPDX-License-Identifier: MIT
#include "device/match.hpp"

#include <algorithm>
#include <cctype>
#include <filesystem>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <fnmatch.h>

namespace filterd::device {

using blkfilter::DeviceId;
using blkfilter::RuleKeys;
using config::Match;

namespace {

bool is_pattern(const std::string& text) {
    return text.find_first_of("*?[\\") != std::string::npos;
}

bool like(const std::string& pattern, const std::string& text) {
    return is_pattern(pattern) ? fnmatch(pattern.c_str(), text.c_str(), 0) == 0 : pattern == text;
}

bool like(const std::optional<std::string>& pattern, const std::optional<std::string>& text) {
    return !pattern || (text && like(*pattern, *text));
}

bool same(const std::optional<std::string>& wanted, const std::optional<std::string>& is) {
    const auto equal = [](unsigned char a, unsigned char b) { return std::tolower(a) == std::tolower(b); };
    return !wanted || (is && std::ranges::equal(*wanted, *is, equal));
}

/// One of the links in @p folder has a name like @p pattern.
bool has_link(const Facts& device, std::string_view folder, const std::optional<std::string>& pattern) {
    return !pattern || std::ranges::any_of(device.links, [&](const std::string& link) {
        return link.starts_with(folder) && like(*pattern, link.substr(folder.size()));
    });
}

/// Links that udev has not made are followed by the file system.
bool has_node(const Facts& device, const std::optional<std::string>& node) {
    if (!node || std::ranges::find(device.links, *node) != device.links.end())
        return true;
    std::error_code error;
    return std::filesystem::is_symlink(*node, error) &&
           std::filesystem::canonical(*node, error) == std::filesystem::path{"/dev"} / device.name;
}

/// What is not a pattern, in lower case.
std::optional<std::string> exact(const std::optional<std::string>& text) {
    return text && !is_pattern(*text) ? text : std::nullopt;
}

/// The kernel's form of udev's WWN: of "0x5000c500a1b2c3d4", "naa.5000...", "eui.0025...", the digits.
std::optional<std::string> wwid_of(const std::optional<std::string>& wwn) {
    const auto text = exact(wwn);
    if (!text)
        return {};
    for (const std::string_view prefix : {"0x", "naa.", "eui."})
        if (text->starts_with(prefix) && text->size() > prefix.size()) {
            auto digits = text->substr(prefix.size());
            std::ranges::transform(digits, digits.begin(), [](unsigned char c) { return std::tolower(c); });
            return std::ranges::all_of(digits, [](unsigned char c) { return std::isxdigit(c) != 0; })
                       ? std::optional{digits}
                       : std::nullopt;
        }
    return {};
}

/// Names of the other declarations of @p which.
std::vector<std::string> rivals(std::span<const config::Device> declared,
                                const std::vector<std::size_t>& which, std::size_t self) {
    std::vector<std::string> names;
    for (const auto i : which)
        if (i != self)
            names.push_back(fmt::format("'{}'", declared[i].name));
    return names;
}

std::string names_of(const std::vector<DeviceId>& ids, const Devices& devices) {
    std::vector<std::string> names;
    names.reserve(ids.size());
    for (const auto& id : ids)
        names.push_back(devices.at(id).name);
    return fmt::format("{}", fmt::join(names, ", "));
}

} // namespace

bool fits(const Match& match, const Facts& device) {
    const bool of_disks = match.serial || match.wwn || match.model;
    const bool of_partitions = match.partuuid || match.partlabel;
    if (of_disks && !of_partitions && device.partition)
        return false;
    return same(match.uuid, device.uuid) && same(match.partuuid, device.partuuid) &&
           like(match.partlabel, device.partlabel) && like(match.serial, device.serial) &&
           like(match.wwn, device.wwn) && like(match.model, device.model) &&
           has_link(device, "/dev/disk/by-id/", match.id) &&
           has_link(device, "/dev/disk/by-path/", match.path) && has_node(device, match.node);
}

std::optional<RuleKeys> kernel_keys(const Match& match) {
    RuleKeys keys;
    if (match.partuuid) {
        keys.partuuid = *match.partuuid;
        std::ranges::transform(*keys.partuuid, keys.partuuid->begin(),
                               [](unsigned char c) { return std::tolower(c); });
    }
    keys.partlabel = exact(match.partlabel);
    if (keys.partuuid || keys.partlabel) {
        keys.kind = RuleKeys::Kind::partition;
        return keys;
    }
    keys.kind = RuleKeys::Kind::disk;
    keys.wwid = wwid_of(match.wwn);
    return keys.wwid ? std::optional{keys} : std::nullopt;
}

std::string kernel_keys_text(const RuleKeys& keys) {
    std::vector<std::string_view> names;
    if (keys.partuuid)
        names.emplace_back("partuuid");
    if (keys.partlabel)
        names.emplace_back("partlabel");
    if (keys.wwid)
        names.emplace_back("wwn");
    return fmt::format("{}", fmt::join(names, " and "));
}

Fitting fitting(std::span<const config::Device> declared, const Devices& devices) {
    Fitting fitting;
    for (const auto& [id, facts] : devices)
        for (std::size_t i = 0; i < declared.size(); ++i)
            if (fits(declared[i].match, facts))
                fitting[id].push_back(i);
    return fitting;
}

void refit(Fitting& fitting, std::span<const config::Device> declared, const Devices& devices,
           const DeviceId& device) {
    fitting.erase(device);
    for (std::size_t i = 0; i < declared.size(); ++i) {
        const auto look = [&](const DeviceId& id, const Facts& facts) {
            auto& which = fitting[id];
            std::erase(which, i);
            if (fits(declared[i].match, facts))
                which.push_back(i);
        };
        if (declared[i].match.node)
            for (const auto& [id, facts] : devices)
                look(id, facts);
        else if (const auto found = devices.find(device); found != devices.end())
            look(device, found->second);
    }
}

std::vector<Meaning> resolve(std::span<const config::Device> declared, const Devices& devices,
                             const Fitting& fitting) {
    std::vector<Meaning> meanings(declared.size());
    for (const auto& [id, which] : fitting)
        for (const auto i : which)
            meanings[i].devices.push_back(id);
    for (std::size_t i = 0; i < declared.size(); ++i) {
        auto& meaning = meanings[i];
        if (meaning.devices.empty())
            continue;
        const auto shared = std::ranges::find_if(
            meaning.devices, [&](const DeviceId& id) { return fitting.at(id).size() > 1; });
        meaning.state = Meaning::State::ambiguous;
        if (meaning.devices.size() > 1 && !declared[i].match.many)
            meaning.why = fmt::format("{} devices fit: {}; say more in 'match', or 'many: true'",
                                      meaning.devices.size(), names_of(meaning.devices, devices));
        else if (shared != meaning.devices.end())
            meaning.why = fmt::format("{} is declared as {} too", devices.at(*shared).name,
                                      fmt::join(rivals(declared, fitting.at(*shared), i), ", "));
        else
            meaning.state = Meaning::State::present;
    }
    return meanings;
}

} // namespace filterd::device
