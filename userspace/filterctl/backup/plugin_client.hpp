// SPDX-License-Identifier: MIT
/// @file
/// Questions to a plugin of filterd, which may be started anew meanwhile.
#pragma once

#include "backup/copy.hpp"
#include "commands/session.hpp"

#include <functional>
#include <string>
#include <vector>

namespace filterctl::backup {

/// Errors: those of the daemon. "not-found" is only what the plugin says, not a filterd that does not have
/// it.
class PluginClient {
public:
    PluginClient(Session& session, std::string noun) : session_{&session}, noun_{std::move(noun)} {}

    using Take = std::function<void(const Json& page)>;

    /// All pages, one after the other, of what may be asked twice. @p request: without the noun.
    [[nodiscard]] Result<void> ask(Json request, const Take& take) const;
    /// The same, of records with an offset and a length.
    [[nodiscard]] Result<std::vector<ByteRange>> ask_ranges(Json request) const;
    /// What may not be asked twice.
    [[nodiscard]] Result<Json> ask_once(Json request) const;

private:
    [[nodiscard]] Result<Json> ask_page(const Json& request) const;
    [[nodiscard]] Result<void> wait_for_plugin() const;

    Session* session_;
    std::string noun_;
};

} // namespace filterctl::backup
