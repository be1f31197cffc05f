// SPDX-License-Identifier: MIT
/// @file
/// What must be known of a migration beside what the kernel knows: what it shall do by itself, how it is
/// continued after a restart, and, once it has cut over, that the old source is not the current device any
/// more.
#pragma once

#include "place.hpp"

#include <blkfilter/device_id.hpp>
#include <blkfilter/redirect.hpp>
#include <blkfilter/uuid.hpp>

#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

namespace filterd::redirects {

struct Record {
    blkfilter::Uuid id{};
    std::string boot{};
    blkfilter::DeviceId source{};
    std::string source_name{};                ///< the kernel's, of that boot
    std::vector<std::string> lasting_names{}; ///< of the source
    std::string target{};                     ///< its lasting name
    std::uint64_t target_sector{};
    Place place{.kind = Place::Kind::none}; ///< of the kernel's record
    blkfilter::redirect::Mode mode{blkfilter::redirect::Mode::only};
    std::uint64_t bytes_per_second{}; ///< the limit; 0: none
    std::uint32_t in_flight{};        ///< likewise; 0: the kernel's default
    bool no_atomic_writes{};          ///< of more than a logical block
    std::string started{};            ///< "2026-11-21T12:00:00Z"
    bool cuts_over_itself{};          ///< as soon as it is ready
    /// When the cut-over began, or the redirect; empty: it did not. It is on the disk before anything of it
    /// happens: with a date, after a restart, the target may be the current device.
    std::string cut_over{};

    /// Whether the device @p name with these lasting names is its source; also in another boot.
    [[nodiscard]] bool is_of(const std::string& name, const std::vector<std::string>& names) const;

    /// Whether the kernel has one that it can be continued from after a restart.
    [[nodiscard]] bool can_continue() const { return place.kind != Place::Kind::none; }

    /// Whether source and target are sure to be found again, so that nobody has to be asked: a device that
    /// has only the kernel's name may have another one's then. A target with the record on it is known by
    /// that.
    [[nodiscard]] bool is_certain(const Roots& roots) const;
};

nlohmann::json to_json(const Record& record);
/// Errors: nlohmann::json::exception.
Record record_of(const nlohmann::json& document);

/// A file for each in a folder.
class Records {
public:
    explicit Records(std::filesystem::path folder) : folder_{std::move(folder)} {}

    /// It survives the machine. Errors: std::system_error.
    void write(const Record& record) const;
    void remove(const blkfilter::Uuid& id) const;

    /// All. What cannot be read is left out, with its reason in @p wrong.
    [[nodiscard]] std::vector<Record> read(std::vector<std::string>& wrong) const;

private:
    [[nodiscard]] std::filesystem::path file_of(const blkfilter::Uuid& id) const;

    std::filesystem::path folder_;
};

} // namespace filterd::redirects
