// SPDX-License-Identifier: MIT
#include "daemon/desired.hpp"

#include <map>
#include <utility>

namespace filterd {

namespace {

std::map<std::string, std::string> keys_of(const config::Filter& filter) {
    std::map<std::string, std::string> keys;
    for (const auto& [key, value] : filter.options)
        if (key.yaml().IsScalar() && value.yaml().IsScalar())
            keys.emplace(key.yaml().Scalar(), value.yaml().Scalar());
    return keys;
}

} // namespace

std::optional<Desired> load_desired(const ConfigFiles& files, Filters& filters,
                                    config::Diagnostics& diagnostics) {
    Desired desired;
    const auto texts = config::load(files.main, files.folder, diagnostics);
    desired.config = config::read(texts, diagnostics);
    for (const auto& file : texts)
        desired.files.push_back(file.name);
    if (!ask_plugins(desired, filters, diagnostics))
        return {};
    desired.loaded = std::chrono::system_clock::now();
    look_for_modules(desired, filters);
    return desired;
}

bool ask_plugins(Desired& desired, Filters& filters, config::Diagnostics& diagnostics) {
    std::vector<std::vector<Wanted>> wanted;
    for (const auto& device : desired.config.devices) {
        auto& stack = wanted.emplace_back();
        for (const auto& filter : device.stack)
            stack.push_back({.name = filter.name,
                             .altitude = filter.altitude,
                             .options = filters.options(filter, diagnostics),
                             .keys = keys_of(filter)});
    }
    if (diagnostics.has_errors())
        return false;
    desired.wanted = std::move(wanted);
    return true;
}

void look_for_modules(Desired& desired, Filters& filters) {
    std::map<std::string, std::string> unusable; // each filter is looked at once
    for (auto& stack : desired.wanted)
        for (auto& filter : stack) {
            const auto [known, added] = unusable.try_emplace(filter.name);
            if (added)
                if (const auto usable = filters.make_usable(filter.name); !usable)
                    known->second = usable.error().message;
            filter.unusable = known->second;
        }
}

} // namespace filterd
