// SPDX-License-Identifier: MIT
/// @file
/// What a call asks for.
#pragma once

#include "migrations.hpp"

#include <filterd/plugin.hpp>

#include <string>

namespace filterd::redirects {

/// As in filterd_argument::choices; the first one is used when none is given.
inline constexpr const char* modes = "write-blocking|background|only|interpose";

/// The device that a call is about. ENODEV and others of from_path().
Source source_of(const Call& call);

/// Of a call of command "start". EINVAL, with one line that says what is wrong.
Wish wish_of(const Call& call, const Roots& roots);

/// Of a call of command "set-rate". EINVAL.
blkfilter::redirect::Settings settings_of(const Call& call);

/// ENOENT, with what to do: the device does not have the filter.
void expect_attached(const Redirection& redirection, const Source& source);

} // namespace filterd::redirects
