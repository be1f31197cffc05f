// SPDX-License-Identifier: MIT
/// @file
/// What filterd knows of filters: by their plugins (plugin/managed.hpp), or as a test says.
#pragma once

#include "config/config.hpp"
#include "config/diagnostics.hpp"

#include <blkfilter/bytes.hpp>
#include <blkfilter/device_id.hpp>
#include <blkfilter/error.hpp>

#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

namespace filterd {

class Filters {
public:
    Filters() = default;
    Filters(const Filters&) = delete;
    Filters& operator=(const Filters&) = delete;
    virtual ~Filters() = default;

    /// The options for the kernel; nothing when the filter's keys are wrong, which is in @p diagnostics then,
    /// or when nobody knows, which make_usable() says.
    virtual std::optional<blkfilter::Bytes> options(const config::Filter& filter,
                                                    config::Diagnostics& diagnostics) = 0;

    /// Makes the filter usable, its module loaded; the message says why it is not, and what to do.
    virtual blkfilter::Result<void> make_usable(const std::string& filter) = 0;

    /// Some filter's options can be asked for again that could not before; true once.
    virtual bool has_recovered() = 0;

    /// Options as people read them.
    virtual std::string describe(const std::string& filter, const blkfilter::Bytes& options) = 0;

    /// Something is lost when the filter is detached. True as well when that is not known.
    virtual bool keeps_history(const std::string& filter) = 0;

    /// The device has the filter as it is declared, with these keys of its own: its plugin may have something
    /// to do. Does not wait for it.
    virtual void attached(const std::string& filter, const blkfilter::DeviceId& device,
                          const std::map<std::string, std::string>& keys) = 0;

    /// What the filter has to say of a device that has it; null when nothing.
    virtual nlohmann::json status(const std::string& filter, const blkfilter::DeviceId& device) = 0;
};

} // namespace filterd
