// SPDX-License-Identifier: MIT
/// @file
/// What a call asks for, put together from its arguments and the configuration.
#pragma once

#include "image.hpp"
#include "record.hpp"

#include <filterd/plugin.hpp>

#include <string>
#include <vector>

namespace filterd::snapshots {

/// What a snapshot is wanted of.
struct Request {
    std::string label{}; ///< empty: the time
    std::string group{};
    std::vector<Member> devices{};
    Policy policy{};
    Hooks hooks{};
};

/// Of a call of command "create": what it says, else the configuration, else what is usual. EINVAL, and the
/// errno of what was looked up.
Request request_of(const Call& call);

/// Links and messages name devices by what people call them: by the kernel's name where that is not one
/// alone.
void tell_apart(std::vector<Member>& devices);

/// A label that may be part of a link's path: letters, digits, '.', '_' and '-', at most 63, a letter or
/// digit first.
bool is_label(const std::string& text);

/// The device of a snapshot that is named, by either name; the only one for an empty name. ENOENT; EINVAL:
/// there are several.
const Member& member_of(const Record& record, const std::string& name);

/// The content that a call of command "mount" means, of all that an image has. EINVAL.
Content choose(const std::vector<Content>& all, const std::string& image, const Call& call);

} // namespace filterd::snapshots
