// SPDX-License-Identifier: MIT
#include "daemon/rules.hpp"

#include "daemon/state_file.hpp"
#include "device/match.hpp"

#include <algorithm>
#include <fmt/format.h>
#include <tuple>

namespace filterd {

using blkfilter::RuleRequest;

namespace {

/// Until then udev must have told of the device, and its match must have been looked at.
constexpr std::chrono::seconds time_to_confirm{60};

RuleRequest rule_of(const blkfilter::RuleKeys& keys, const std::vector<Wanted>& stack) {
    RuleRequest rule{.keys = keys, .provisional = time_to_confirm};
    for (const auto& filter : stack)
        rule.entries.push_back({.name = filter.name,
                                .altitude = filter.altitude,
                                .options = filter.options.value_or(blkfilter::Bytes{}),
                                .owner = declared_tag});
    return rule;
}

std::string text_of(const blkfilter::RuleKeys& keys) {
    return fmt::format("{}|{}|{}|{}|", static_cast<int>(keys.kind), keys.partuuid.value_or(""),
                       keys.partlabel.value_or(""), keys.wwid.value_or(""));
}

/// All that a rule says.
std::string text_of(const RuleRequest& rule) {
    auto text = text_of(rule.keys);
    for (const auto& entry : rule.entries)
        text += fmt::format("{}@{}:{}|", entry.name, entry.altitude ? entry.altitude->to_string() : "",
                            blkfilter::to_hex(entry.options));
    return text;
}

} // namespace

Rules::Rules(Engine& engine, std::filesystem::path file) : engine_{engine}, file_{std::move(file)} {
    load();
}

std::string Rules::cover(const config::Device& device, const std::vector<Wanted>& stack,
                         std::map<std::string, std::uint32_t>& wanted) {
    const auto keys = device::kernel_keys(device.match);
    if (!keys)
        return "from udev's event on: the kernel knows none of 'match' before the first bio";
    const auto unusable = std::ranges::find_if(
        stack, [](const Wanted& filter) { return !filter.unusable.empty() || !filter.options; });
    if (unusable != stack.end())
        return fmt::format("from udev's event on: '{}' cannot be attached", unusable->name);
    const auto rule = rule_of(*keys, stack);
    const auto text = text_of(rule);
    if (const auto known = installed_.find(text); known != installed_.end()) {
        wanted.insert(*known);
    } else if (!wanted.contains(text)) {
        const auto added = engine_.add_rule(rule);
        if (!added)
            return fmt::format("from udev's event on: {}", added.error().message);
        wanted.emplace(text, *added);
    }
    return fmt::format("from the first bio: the kernel knows it by {}", device::kernel_keys_text(*keys));
}

std::vector<std::string> Rules::update(const Desired& desired) {
    std::map<std::string, std::uint32_t> wanted;
    std::vector<std::string> covers;
    covers.reserve(desired.wanted.size());
    for (std::size_t i = 0; i < desired.wanted.size(); ++i)
        covers.push_back(cover(desired.config.devices[i], desired.wanted[i], wanted));
    for (const auto& [text, id] : installed_)
        if (!wanted.contains(text))
            std::ignore = engine_.remove_rule(id); // it is gone already, or with the module
    installed_ = std::move(wanted);
    save();
    return covers;
}

void Rules::load() {
    const auto present = engine_.rules();
    const auto noted = read_state(file_);
    if (!present || !noted.is_object())
        return;
    // The numbers begin anew when the module is loaded again: what a rule says must be the same, too.
    const auto is_ours = [&](const std::string& text, const nlohmann::json& id) {
        return id.is_number_unsigned() && std::ranges::any_of(*present, [&](const auto& rule) {
                   return rule.id == id.get<std::uint32_t>() && text.starts_with(text_of(rule.keys));
               });
    };
    for (const auto& [text, id] : noted.items())
        if (is_ours(text, id))
            installed_.emplace(text, id.get<std::uint32_t>());
}

void Rules::save() const {
    write_state(file_, installed_);
}

} // namespace filterd
