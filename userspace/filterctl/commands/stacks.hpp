// SPDX-License-Identifier: MIT
/// @file
/// Stacks of devices, found in a status.
#pragma once

#include "client/json.hpp"

#include <string>
#include <string_view>

namespace filterctl {

/// How a device is asked for.
struct DeviceName {
    /// @p text is a declared name, the kernel's name, or a path, whose links are followed.
    explicit DeviceName(std::string text);

    std::string name;
    std::string number{}; ///< "8:1", of a path that exists; empty otherwise

    /// Whether it is the device with that kernel's name and number.
    [[nodiscard]] bool is(std::string_view kernel_name, std::string_view kernel_number) const;
};

/// The devices with a stack that @p device means, those of one declaration or one: objects of "name",
/// "state", "why" and "coverage" of the declaration, null where there is none, and of what the status says of
/// the device.
Json stacks_of(const Json& status, const DeviceName& device);

/// The declaration of that name in a status; null when there is none.
const Json& declaration_of(const Json& status, std::string_view name);

} // namespace filterctl
