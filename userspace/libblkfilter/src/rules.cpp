// SPDX-License-Identifier: MIT
#include "raw.hpp"

#include <blkfilter/control.hpp>

#include <cctype>
#include <fmt/format.h>

namespace blkfilter {

namespace {

/// One of the keys that are texts.
struct TextKey {
    std::uint32_t flag;
    std::optional<std::string> RuleKeys::* value;
    std::span<std::uint8_t> field;
    std::string_view what;
};

std::array<TextKey, 5> text_keys(blkfilter_rule& raw) {
    return {{{.flag = BLKFILTER_RULE_NAME, .value = &RuleKeys::name, .field = raw.name, .what = "the name"},
             {.flag = BLKFILTER_RULE_DRIVER,
              .value = &RuleKeys::driver,
              .field = raw.driver,
              .what = "the driver"},
             {.flag = BLKFILTER_RULE_PARTUUID,
              .value = &RuleKeys::partuuid,
              .field = raw.partuuid,
              .what = "the PARTUUID"},
             {.flag = BLKFILTER_RULE_PARTLABEL,
              .value = &RuleKeys::partlabel,
              .field = raw.partlabel,
              .what = "the PARTLABEL"},
             {.flag = BLKFILTER_RULE_WWID, .value = &RuleKeys::wwid, .field = raw.wwid, .what = "the WWID"}}};
}

Result<void> put_keys(blkfilter_rule& raw, const RuleKeys& keys) {
    if (keys.kind == RuleKeys::Kind::disk)
        raw.flags |= BLKFILTER_RULE_DISK;
    if (keys.kind == RuleKeys::Kind::partition)
        raw.flags |= BLKFILTER_RULE_PARTITION;
    if (keys.major) {
        raw.flags |= BLKFILTER_RULE_MAJOR;
        raw.major = *keys.major;
    }
    for (const auto& key : text_keys(raw)) {
        const auto& value = keys.*key.value;
        if (!value)
            continue;
        if (auto done = put_text(key.field, *value, key.what); !done)
            return done;
        raw.flags |= key.flag;
    }
    // The kernel compares with its own lower case form.
    for (std::span<std::uint8_t> field : {std::span<std::uint8_t>{raw.partuuid}, {raw.wwid}}) {
        for (auto& letter : field)
            letter = static_cast<std::uint8_t>(std::tolower(letter));
    }
    return {};
}

RuleKeys keys_of(blkfilter_rule& raw) {
    RuleKeys keys;
    if (raw.flags & BLKFILTER_RULE_DISK)
        keys.kind = RuleKeys::Kind::disk;
    if (raw.flags & BLKFILTER_RULE_PARTITION)
        keys.kind = RuleKeys::Kind::partition;
    if (raw.flags & BLKFILTER_RULE_MAJOR)
        keys.major = raw.major;
    for (const auto& key : text_keys(raw)) {
        if (raw.flags & key.flag)
            keys.*key.value = text_of(key.field);
    }
    return keys;
}

} // namespace

Result<std::uint32_t> Control::add_rule(const RuleRequest& request) const {
    const auto provisional_ms = raw_milliseconds(request.provisional);
    if (!provisional_ms)
        return std::unexpected(provisional_ms.error());
    const auto entries = raw_entries(request.entries);
    if (!entries)
        return failure(entries.error().code, "rule", entries.error().message);

    blkfilter_rule raw{};
    raw.size = sizeof(raw);
    if (auto done = put_keys(raw, request.keys); !done)
        return std::unexpected(done.error());
    raw.count = static_cast<std::uint32_t>(entries->size());
    raw.entry_size = sizeof(blkfilter_stack_entry);
    raw.entries = entries->empty() ? 0 : address_of(entries->data());
    raw.provisional_ms = *provisional_ms;

    if (const int status = transport_->ioctl(BLKFILTER_IOC_RULE_ADD, &raw); status < 0) {
        const auto meaning =
            status == -EINVAL ? "refused: it needs at least one key and one filter" : meaning_of(-status);
        return failure(-status, "rule", meaning);
    }
    return raw.id;
}

Result<void> Control::remove_rule(std::uint32_t id) const {
    blkfilter_rule_id raw{};
    raw.size = sizeof(raw);
    raw.id = id;
    if (const int status = transport_->ioctl(BLKFILTER_IOC_RULE_REMOVE, &raw); status < 0)
        return failure(-status, fmt::format("rule {}", id),
                       status == -ENOENT ? "no such rule" : meaning_of(-status));
    return {};
}

Result<std::vector<Rule>> Control::rules() const {
    auto raw = list_all<blkfilter_rule>(*transport_, BLKFILTER_IOC_RULE_LIST, "rules");
    if (!raw)
        return std::unexpected(raw.error());
    std::vector<Rule> rules;
    for (auto& entry : *raw)
        rules.push_back({.id = entry.id,
                         .keys = keys_of(entry),
                         .entries = entry.count,
                         .provisional = std::chrono::milliseconds{entry.provisional_ms}});
    return rules;
}

} // namespace blkfilter
