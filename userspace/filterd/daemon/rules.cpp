// SPDX-License-Identifier: MIT
#include "daemon/rules.hpp"

#include "daemon/state_file.hpp"
#include "device/match.hpp"

#include <algorithm>
#include <fmt/format.h>
#include <set>
#include <tuple>

namespace filterd {

using blkfilter::RuleRequest;

namespace {

/// Until then udev must have told of the device, and its match must have been looked at: of a thousand disks
/// on a busy machine, that takes minutes.
constexpr std::chrono::minutes time_to_confirm{10};

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

/// A rule that is noted but may not be made yet: the kernel's numbers begin with 1.
constexpr std::uint32_t no_number = 0;

/// The rule for a declaration, or why there can be none.
std::expected<RuleRequest, std::string> rule_for(const config::Device& device,
                                                 const std::vector<Wanted>& stack) {
    const auto keys = device::kernel_keys(device.match);
    if (!keys)
        return std::unexpected("the kernel knows none of 'match' before the first bio");
    const auto unusable = std::ranges::find_if(
        stack, [](const Wanted& filter) { return !filter.unusable.empty() || !filter.options; });
    if (unusable != stack.end())
        return std::unexpected(fmt::format("'{}' cannot be attached", unusable->name));
    return rule_of(*keys, stack);
}

} // namespace

Rules::Rules(Engine& engine, std::filesystem::path file) : engine_{engine}, file_{std::move(file)} {
    load();
}

std::expected<void, std::string> Rules::make(const RuleRequest& rule,
                                             const std::expected<void, std::string>& noted) {
    auto& number = installed_[text_of(rule)];
    if (number != no_number)
        return {};
    if (!noted)
        return noted;
    const auto added = engine_.add_rule(rule);
    if (!added)
        return std::unexpected(added.error().message);
    number = *added;
    return {};
}

std::vector<std::string> Rules::update(const Desired& desired) {
    std::vector<std::expected<RuleRequest, std::string>> rules;
    rules.reserve(desired.wanted.size());
    for (std::size_t i = 0; i < desired.wanted.size(); ++i)
        rules.push_back(rule_for(desired.config.devices[i], desired.wanted[i]));
    forget_gone();
    bool more = false;
    for (const auto& rule : rules)
        more |= rule && installed_.try_emplace(text_of(*rule), no_number).first->second == no_number;
    // Before they are made: a kill in between must not leave rules that nobody knows.
    const auto noted = more ? save() : std::expected<void, std::string>{};

    std::set<std::string> wanted;
    std::vector<std::string> covers;
    covers.reserve(rules.size());
    for (const auto& rule : rules) {
        const auto made = rule ? make(*rule, noted) : std::unexpected(rule.error());
        covers.push_back(made ? fmt::format("from the first bio: the kernel knows it by {}",
                                            device::kernel_keys_text(rule->keys))
                              : fmt::format("from udev's event on: {}", made.error()));
        if (made)
            wanted.insert(text_of(*rule));
    }
    std::erase_if(installed_, [&](const auto& rule) {
        if (wanted.contains(rule.first))
            return false;
        if (rule.second != no_number)
            std::ignore = engine_.remove_rule(rule.second); // it is gone already, or with the module
        return true;
    });
    std::ignore = save(); // else the next filterd looks for rules that are gone, and finds none
    return covers;
}

/// Somebody else may have removed some.
void Rules::forget_gone() {
    const auto present = engine_.rules();
    if (!present)
        return;
    for (auto& [text, number] : installed_)
        if (std::ranges::find(*present, number, &blkfilter::Rule::id) == present->end())
            number = no_number;
}

void Rules::load() {
    const auto present = engine_.rules();
    const auto noted = read_state(file_);
    if (!present || !noted.is_object())
        return;
    std::map<std::uint32_t, std::string> unknown; // keys of rules that may be ours
    for (const auto& rule : *present)
        if (rule.provisional.count() > 0)
            unknown.emplace(rule.id, text_of(rule.keys));
    const auto adopt = [&](const std::string& text, auto rule) {
        if (rule == unknown.end() || !text.starts_with(rule->second))
            return;
        installed_.emplace(text, rule->first);
        unknown.erase(rule);
    };
    // The numbers begin anew when the module is loaded again: what a rule says must be the same, too.
    for (const auto& [text, number] : noted.items())
        if (number.is_number_unsigned())
            adopt(text, unknown.find(number.get<std::uint32_t>()));
    // The last filterd was killed while it made these.
    for (const auto& [text, number] : noted.items())
        if (number == no_number)
            adopt(text, std::ranges::find_if(
                            unknown, [&](const auto& rule) { return text.starts_with(rule.second); }));
}

/// Error: why not.
std::expected<void, std::string> Rules::save() const {
    try {
        write_state(file_, installed_);
        return {};
    } catch (const std::exception& error) {
        return std::unexpected(error.what());
    }
}

} // namespace filterd
