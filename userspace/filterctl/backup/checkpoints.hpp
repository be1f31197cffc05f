// SPDX-License-Identifier: MIT
/// @file
/// Checkpoints of the filter cbt-only, as a backup uses them: another way to know what has changed.
#pragma once

#include "backup/plugin_client.hpp"

#include <string>
#include <vector>

namespace filterctl::backup {

/// A snapshot's consistency point is an instant of cbt-only's, too, when that is on the same device: there it
/// gets a name.
class CheckpointClient {
public:
    explicit CheckpointClient(Session& session) : plugin_{session, "cbt"} {}

    /// Names the instant of the snapshot with the id @p snapshot. "refused": there is none.
    [[nodiscard]] Result<void> name(const std::string& device, const std::string& name,
                                    const std::string& snapshot) const;
    /// It need not exist.
    [[nodiscard]] Result<void> remove(const std::string& device, const std::string& name) const;
    /// Whether the device's history goes back to it. "refused": it does not.
    [[nodiscard]] Result<void> check(const std::string& device, const std::string& name) const;
    /// What has changed since, until now.
    [[nodiscard]] Result<std::vector<ByteRange>> changes(const std::string& device,
                                                         const std::string& name) const;

private:
    PluginClient plugin_;
};

} // namespace filterctl::backup
