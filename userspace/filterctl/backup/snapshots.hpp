// SPDX-License-Identifier: MIT
/// @file
/// Snapshots of filterd, as a backup uses them: the noun "snapshot" of the plugin blksnap.
#pragma once

#include "backup/manifest.hpp"
#include "backup/plugin_client.hpp"

#include <string>
#include <vector>

namespace filterctl::backup {

/// A device's image.
struct Image {
    std::string device{};
    std::string path{};
    std::string error{}; ///< why it is not to be used; empty: it is
    Base base{};
};

/// Errors: those of PluginClient.
class SnapshotClient {
public:
    explicit SnapshotClient(Session& session) : session_{&session}, plugin_{session, "snapshot"} {}

    /// What is said of the new one: label, id, devices, warnings.
    [[nodiscard]] Result<Json> create(const std::string& label, const std::vector<std::string>& devices,
                                      const std::string& group) const;
    /// "not-found": it has ended, or never was.
    [[nodiscard]] Result<void> destroy(const std::string& snapshot) const;
    /// Whether some snapshot is being made now, of which destroy() may not know yet.
    [[nodiscard]] Result<bool> is_any_being_made() const;
    [[nodiscard]] Result<std::vector<Image>> images(const std::string& snapshot) const;
    [[nodiscard]] Result<std::vector<ByteRange>> changes(const std::string& snapshot,
                                                         const std::string& device, const Base& base) const;
    /// The whole device, unchanged ranges as holes, for nbdkit's filter extentlist.
    [[nodiscard]] Result<std::string> extent_list(const std::string& snapshot, const std::string& device,
                                                  const std::string& base) const;

private:
    Session* session_;
    PluginClient plugin_;
};

/// The image of a device; the only one for an empty name. "not-found", "invalid"; "failed": it is not to be
/// used any more.
Result<Image> find_image(const std::vector<Image>& images, const std::string& snapshot,
                         const std::string& device);

} // namespace filterctl::backup
