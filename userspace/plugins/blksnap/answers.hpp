// SPDX-License-Identifier: MIT
/// @file
/// What the plugin's commands answer with.
#pragma once

#include "snapshots.hpp"

#include <nlohmann/json.hpp>
#include <string>

namespace filterd::snapshots {

/// Keeps the order of members, which is that of a table's columns.
using Json = nlohmann::ordered_json;

Json line_of(const Status& status);
Json details_of(const Status& status);
Json line_of(const FileSystem& file_system);

/// A device's image, and what a copy of it must know: blksnap's Info of the device.
Json image_of(const Record& record, const Member& member, const blkfilter::blksnap::MapInfo& info,
              const blkfilter::blksnap::Part& part);

/// The next page of command "changes".
void answer_changes(Call& call, const Snapshots& snapshots);

} // namespace filterd::snapshots
