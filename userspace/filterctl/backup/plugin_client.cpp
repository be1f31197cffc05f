// SPDX-License-Identifier: MIT
#include "backup/plugin_client.hpp"

#include <algorithm>
#include <chrono>
#include <fmt/format.h>
#include <thread>

namespace filterctl::backup {

Result<void> PluginClient::ask(Json request, const Take& take) const {
    request["noun"] = noun_;
    for (;;) {
        const auto reply = ask_page(request);
        if (!reply)
            return pass_on(reply);
        take(*reply);
        const auto& cursor = member(*reply, "cursor");
        if (cursor.is_null())
            return {};
        if (cursor == member(request, "cursor"))
            return fail("failed", "the plugin answers with the same page again and again");
        request["cursor"] = cursor;
    }
}

Result<std::vector<ByteRange>> PluginClient::ask_ranges(Json request) const {
    std::vector<ByteRange> ranges;
    const auto asked = ask(std::move(request), [&](const Json& page) {
        for (const auto& record : list_of(page, "records"))
            ranges.push_back({.offset = number_of(record, "offset"), .length = number_of(record, "length")});
    });
    return asked ? Result<std::vector<ByteRange>>{std::move(ranges)} : pass_on(asked);
}

Result<Json> PluginClient::ask_once(Json request) const {
    request["noun"] = noun_;
    return session_->ask("command", request, for_ever);
}

/// A filterd that was just started does not have its plugins yet: then that there is "no such thing" says
/// nothing of what was asked about.
Result<Json> PluginClient::ask_page(const Json& request) const {
    auto reply = session_->ask_again("command", request, for_ever);
    if (reply || reply.error().code != "not-found")
        return reply;
    if (const auto waited = wait_for_plugin(); !waited)
        return pass_on(waited);
    return session_->ask_again("command", request, for_ever);
}

Result<void> PluginClient::wait_for_plugin() const {
    constexpr int tries = 40;
    constexpr std::chrono::milliseconds pause{250};
    for (int i = 0; i < tries; ++i) {
        if (i != 0)
            std::this_thread::sleep_for(pause);
        const auto reply = session_->ask_again("plugins", Json::object(), for_ever);
        if (!reply)
            return pass_on(reply);
        if (std::ranges::any_of(list_of(*reply, "plugins"), [&](const Json& plugin) {
                return text_of(plugin, "noun") == noun_ && text_of(plugin, "state") != "failed";
            }))
            return {};
    }
    return fail("failed", fmt::format("filterd does not have the plugin for the noun '{}': see filterctl "
                                      "plugin list",
                                      noun_));
}

} // namespace filterctl::backup
