// SPDX-License-Identifier: MIT
/// @file
/// An image for other tools, over NBD on a Unix socket.
#pragma once

#include "backup/snapshots.hpp"

#include <string>

namespace filterctl::backup {

struct ServeRequest {
    std::string snapshot{};
    std::string device{}; ///< may be empty when there is one only
    std::string socket{}; ///< where to listen
    std::string base{};   ///< what has not changed since is a hole; empty: all is there
};

/// Becomes an nbdkit that serves it, read-only, until it is ended. Returns why it could not.
Failure serve(Session& session, const ServeRequest& request);

} // namespace filterctl::backup
