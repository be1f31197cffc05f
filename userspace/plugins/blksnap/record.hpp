// SPDX-License-Identifier: MIT
/// @file
/// What must be known of a snapshot beside what the kernel knows, so that it survives filterd's end.
#pragma once

#include "growth.hpp"

#include <blkfilter/device_id.hpp>
#include <blkfilter/uuid.hpp>

#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

namespace filterd::snapshots {

/// A device of a snapshot.
struct Member {
    blkfilter::DeviceId id{};
    std::string name{};     ///< the kernel's, when the snapshot was made
    std::string declared{}; ///< as people call it, another one for each device of the snapshot

    /// "/dev/blksnap-image_8:0"
    [[nodiscard]] std::string image() const { return "/dev/blksnap-image_" + id.number(); }
};

/// What is run before and after the instant.
struct Hooks {
    std::string before{};
    std::string after{};
    std::uint32_t seconds{};
    bool after_is_due{}; ///< the one before has begun, and the one after has not ended
};

struct Record {
    blkfilter::Uuid id{};
    std::string label{};
    std::string group{};   ///< empty: none
    std::string created{}; ///< "2026-11-21T12:00:00Z"
    bool taken{};
    std::vector<Member> devices{};
    Policy policy{};
    Hooks hooks{};
};

nlohmann::json to_json(const Record& record);
/// Errors: nlohmann::json::exception.
Record record_of(const nlohmann::json& document);

/// A file for each snapshot in a folder. Snapshots end with the machine: a record of an earlier boot is none.
class Records {
public:
    /// @p boot: what tells this boot from others.
    Records(std::filesystem::path folder, std::string boot);

    /// Errors: std::system_error.
    void write(const Record& record) const;
    void remove(const blkfilter::Uuid& id) const;
    /// What is on record of a snapshot that is about to be made, before it has an id: @p known are those that
    /// the kernel has. Ends with the object, which must not outlive this one. Errors: std::system_error.
    class Announcement {
    public:
        explicit Announcement(const Records& records) : records_{&records} {}
        Announcement(const Announcement&) = delete;
        Announcement& operator=(const Announcement&) = delete;
        ~Announcement() { records_->end_announcement(); }

    private:
        const Records* records_;
    };
    [[nodiscard]] Announcement announce(const std::vector<blkfilter::Uuid>& known) const;
    void end_announcement() const;
    /// The one that an earlier filterd of this boot has left.
    [[nodiscard]] std::optional<std::vector<blkfilter::Uuid>> announced() const;

    /// All of this boot; others are removed. What cannot be read is left out, with its reason in @p wrong.
    [[nodiscard]] std::vector<Record> read(std::vector<std::string>& wrong) const;

private:
    [[nodiscard]] std::filesystem::path file_of(const blkfilter::Uuid& id) const;
    void write(const std::filesystem::path& file, nlohmann::json document) const;

    std::filesystem::path folder_;
    std::string boot_;
};

} // namespace filterd::snapshots
