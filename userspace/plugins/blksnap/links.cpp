// SPDX-License-Identifier: MIT
#include "links.hpp"

#include <cerrno>
#include <fmt/format.h>
#include <fstream>
#include <iterator>
#include <system_error>

namespace filterd::snapshots {

std::string link_of(const Record& record, const Member& member) {
    return fmt::format("/dev/disk/by-blkfilter/{}/{}", record.label, member.declared);
}

std::filesystem::path Links::file_of(const Member& member) const {
    return folder_ / std::filesystem::path{member.image()}.filename();
}

namespace {

std::string note_of(const Record& record, const Member& member) {
    return fmt::format("BLKFILTER_SNAPSHOT={}\nBLKFILTER_DEVICE={}\n", record.label, member.declared);
}

} // namespace

void Links::note(const Record& record) const {
    std::filesystem::create_directories(folder_);
    for (const auto& member : record.devices) {
        std::ofstream file{file_of(member)};
        file << note_of(record, member) << std::flush;
        if (!file)
            throw std::system_error{EIO, std::generic_category(), file_of(member).string()};
    }
}

void Links::forget(const Record& record) const {
    std::error_code ignored;
    for (const auto& member : record.devices) {
        // It may be another snapshot's that has the device.
        std::ifstream file{file_of(member)};
        if (std::string{std::istreambuf_iterator<char>{file}, {}} == note_of(record, member))
            std::filesystem::remove(file_of(member), ignored);
    }
}

} // namespace filterd::snapshots
