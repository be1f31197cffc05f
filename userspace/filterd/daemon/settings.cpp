// SPDX-License-Identifier: MIT
#include "daemon/settings.hpp"

#include <string_view>

namespace filterd {

namespace {

using Settings = std::map<std::string, std::string>;

void put(Settings& settings, const char* name, const std::optional<std::string>& value) {
    if (value)
        settings[name] = *value;
}

void put(Settings& settings, const char* name, const std::optional<std::uint64_t>& value) {
    if (value)
        settings[name] = std::to_string(*value);
}

void put(Settings& settings, const config::Storage& storage) {
    put(settings, "storage.path", storage.path);
    put(settings, "storage.step", storage.step);
    if (storage.warn)
        settings["storage.warn-thousandths"] = std::to_string(storage.warn->thousandths);
    if (!storage.limit)
        return;
    // One takes the place of the other.
    settings.erase("storage.limit");
    settings.erase("storage.limit-thousandths");
    if (const auto* share = std::get_if<config::Share>(&*storage.limit))
        settings["storage.limit-thousandths"] = std::to_string(share->thousandths);
    else
        settings["storage.limit"] = std::to_string(std::get<std::uint64_t>(*storage.limit));
}

void put(Settings& settings, const config::Hooks& hooks) {
    put(settings, "hooks.before", hooks.before);
    put(settings, "hooks.after", hooks.after);
    put(settings, "hooks.seconds", hooks.seconds);
}

} // namespace

Settings settings_of(const config::Config& config, const config::Group* group) {
    Settings settings;
    put(settings, config.storage);
    put(settings, config.hooks);
    if (group) {
        settings["group"] = group->name;
        put(settings, group->storage);
        put(settings, group->hooks);
    }
    return settings;
}

} // namespace filterd
