// SPDX-License-Identifier: MIT
/// @file
/// From libblkfilter's results to what a plugin throws.
#pragma once

#include <filterd/plugin.hpp>

#include <blkfilter/error.hpp>

#include <utility>

namespace filterd {

/// The value, or a Failure.
template <class T>
T value_of(blkfilter::Result<T> result) {
    if (!result)
        throw Failure{result.error().code, result.error().message};
    return *std::move(result);
}

inline void expect_done(const blkfilter::Result<void>& result) {
    if (!result)
        throw Failure{result.error().code, result.error().message};
}

} // namespace filterd
