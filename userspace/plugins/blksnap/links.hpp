// SPDX-License-Identifier: MIT
/// @file
/// Names of images below /dev/disk/by-blkfilter: udev makes the links, from what is noted here before an
/// image appears (59-blksnap.rules).
#pragma once

#include "record.hpp"

#include <filesystem>

namespace filterd::snapshots {

/// "/dev/disk/by-blkfilter/LABEL/DEVICE"
std::string link_of(const Record& record, const Member& member);

/// Notes for udev, a file for each image: in /run/blkfilter/images, which its rule names.
class Links {
public:
    explicit Links(std::filesystem::path folder) : folder_{std::move(folder)} {}

    /// Errors: std::system_error.
    void note(const Record& record) const;
    /// Only what note() has said of this one.
    void forget(const Record& record) const;

private:
    [[nodiscard]] std::filesystem::path file_of(const Member& member) const;

    std::filesystem::path folder_;
};

} // namespace filterd::snapshots
