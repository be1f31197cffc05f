// SPDX-License-Identifier: MIT
/// @file
/// Comparing source and target while both are in use.
#pragma once

#include "migrations.hpp"

#include <filterd/plugin.hpp>

#include <chrono>
#include <cstdint>
#include <functional>
#include <string>

namespace filterd::redirects {

/// What a comparison has found until now, and where it is: all that it needs to go on.
struct Findings {
    std::uint64_t sector{};
    std::uint64_t compared_bytes{};
    std::uint64_t skipped_bytes{}; ///< not copied yet, or written to meanwhile
    std::uint64_t asked_again{};   ///< regions that differed, and not when they were read again
    std::uint64_t different{};     ///< regions that did
    std::uint64_t first{};         ///< byte of the first of them

    [[nodiscard]] std::string to_string() const;
    /// EINVAL: it is not what to_string() makes.
    static Findings parse(const std::string& text);
};

/// Goes on from @p findings until the end, which is true, or until @p limit is over. What differs is read
/// again before it counts: a target that answers with old data once is another trouble than one that has it.
bool compare(const Redirection& redirection, const blkfilter::redirect::Status& status, Findings& findings,
             std::chrono::milliseconds limit,
             const std::function<void(std::uint32_t thousandths, const std::string& text)>& progress);

/// One call of command "verify". EIO: they differ.
void answer_verify(Call& call, const Redirection& redirection);

} // namespace filterd::redirects
