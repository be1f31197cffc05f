// SPDX-License-Identifier: MIT
#include "output.hpp"

#include <algorithm>
#include <utility>

namespace blkfilter::tool {

namespace {

using nlohmann::json;

json device_json(const DeviceId& device, const std::string& name) {
    return {{"name", name}, {"number", device.number()}, {"diskseq", device.diskseq}};
}

json statistics_json(const Statistics& statistics) {
    constexpr std::array<const char*, group_count> names{"read",   "write", "discard",
                                                         "zeroes", "flush", "other"};
    json result{{"taken", statistics.taken},
                {"resumed", statistics.resumed},
                {"ended", statistics.ended},
                {"own", statistics.own}};
    for (std::size_t i = 0; i < group_count; ++i)
        result[names[i]] = {{"bios", statistics.bios[i]}, {"sectors", statistics.sectors[i]}};
    return result;
}

bool is_text(const Bytes& bytes) {
    return std::ranges::all_of(
        bytes, [](std::byte byte) { return byte >= std::byte{' '} && byte <= std::byte{'~'}; });
}

json entry_json(const StackEntry& entry) {
    json result{{"name", entry.name},
                {"altitude", entry.altitude.to_string()},
                {"state", entry.state},
                {"options_hex", to_hex(entry.options)},
                {"owner", to_hex(entry.owner.bytes())},
                {"instance", entry.instance},
                {"provisional", entry.provisional},
                {"from_first_bio", entry.from_first_bio},
                {"statistics", statistics_json(entry.statistics)}};
    if (is_text(entry.options)) {
        auto& text = result["options"] = "";
        for (auto byte : entry.options)
            text.get_ref<std::string&>() += static_cast<char>(byte);
    }
    return result;
}

json stack_json(const NamedStack& named) {
    auto filters = json::array();
    for (const auto& entry : named.stack.entries)
        filters.push_back(entry_json(entry));
    return {{"device", device_json(named.stack.device, named.device_name)},
            {"generation", named.stack.generation},
            {"filters", std::move(filters)}};
}

json keys_json(const RuleKeys& keys) {
    json result = json::object();
    if (keys.kind == RuleKeys::Kind::disk)
        result["kind"] = "disk";
    if (keys.kind == RuleKeys::Kind::partition)
        result["kind"] = "partition";
    const auto add = [&](const char* key, const auto& value) {
        if (value)
            result[key] = *value;
    };
    add("name", keys.name);
    add("driver", keys.driver);
    add("major", keys.major);
    add("partuuid", keys.partuuid);
    add("partlabel", keys.partlabel);
    add("wwid", keys.wwid);
    return result;
}

/// An object with the version and one list.
template <class T, class Convert>
json list_json(const char* name, std::span<const T> values, Convert convert) {
    auto list = json::array();
    for (const auto& value : values)
        list.push_back(convert(value));
    return {{"version", json_version}, {name, std::move(list)}};
}

} // namespace

json json_of(std::span<const FilterInfo> filters) {
    return list_json("filters", filters, [](const FilterInfo& filter) -> json {
        return {{"name", filter.name},
                {"module", filter.module},
                {"altitude", filter.default_altitude.to_string()},
                {"instances", filter.instances},
                {"needs_points", filter.needs_points},
                {"zoned", filter.zoned}};
    });
}

json json_of(std::span<const DeviceInfo> devices) {
    return list_json("devices", devices, [](const DeviceInfo& device) -> json {
        auto result = device_json(device.device, device.name);
        result.update({{"generation", device.generation},
                       {"sectors", device.size_sectors},
                       {"filters", device.filters},
                       {"settling", device.settling},
                       {"partition", device.partition}});
        return result;
    });
}

json json_of(std::span<const NamedStack> stacks) {
    return list_json("stacks", stacks, stack_json);
}

json json_of(const NamedStack& stack) {
    auto result = stack_json(stack);
    result["version"] = json_version;
    return result;
}

json json_of(std::span<const Rule> rules) {
    return list_json("rules", rules, [](const Rule& rule) -> json {
        return {{"id", rule.id},
                {"match", keys_json(rule.keys)},
                {"filters", rule.entries},
                {"provisional_ms", rule.provisional.count()}};
    });
}

json json_of(const Point& point) {
    return {{"version", json_version},
            {"id", point.id.to_string()},
            {"closed_ns", point.closed.count()},
            {"frozen_ns", point.frozen.count()}};
}

json json_of(const Event& event, const std::string& device_name) {
    json result{{"version", json_version},
                {"type", to_string(event.type)},
                {"type_number", std::to_underlying(event.type)},
                {"sequence", event.sequence},
                {"since_boot_ns", event.since_boot.count()},
                {"value", event.value},
                {"reason", to_string(event.reason)},
                {"pid", event.pid},
                {"process", event.process},
                {"name", event.name},
                {"data_hex", to_hex(event.data)}};
    if (event.device)
        result["device"] = device_json(*event.device, device_name);
    return result;
}

} // namespace blkfilter::tool
