// SPDX-License-Identifier: MIT
/// @file
/// From what shall be on a device and what is there to what is to be done. Nothing here asks or changes the
/// kernel.
#pragma once

#include <blkfilter/types.hpp>

#include <functional>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace filterd {

/// Whose a filter of a device is.
enum class Ownership {
    declared,  ///< a file declares it, and filterd attached it
    requested, ///< filterd attached it for a command or a job, to which it belongs
    orphaned,  ///< filterd attached it for a declaration that is gone
    foreign,   ///< somebody else attached it: shown, never touched
};

/// The tags that filterd leaves in the kernel, so that they survive it.
extern const blkfilter::OwnerTag declared_tag;
extern const blkfilter::OwnerTag requested_tag;

/// A filter that shall be on a device.
struct Wanted {
    std::string name{};
    std::optional<blkfilter::Altitude> altitude{}; ///< the module's own without it
    /// Nothing: they are not known; what is attached keeps its own.
    std::optional<blkfilter::Bytes> options{blkfilter::Bytes{}};
    /// Of its own keys those with one value, as text, for its plugin (Filters::attached()).
    std::map<std::string, std::string> keys{};
    std::string unusable{}; ///< why it cannot be attached here, and what to do; empty: it can
};

/// One thing that is to be done, or cannot be.
struct Step {
    enum class Kind { attach, change, detach, blocked };

    Kind kind;
    std::string filter;
    std::string text; ///< what changes, or why it is blocked and what to do

    bool operator==(const Step&) const = default;
};

/// "attach"
std::string_view to_string(Step::Kind kind);
/// "declared"
std::string_view to_string(Ownership ownership);

/// What is to be done on one device.
struct Plan {
    std::vector<Step> steps;
    /// The stack that the steps other than blocked ones make.
    std::vector<blkfilter::EntryRequest> entries;
    /// Whose the filters that are there are, as in the stack.
    std::vector<Ownership> ownership;

    /// Something is to be done that can be.
    [[nodiscard]] bool changes() const;
    [[nodiscard]] bool is_blocked() const;
};

/// What becomes of an orphaned filter.
enum class Prune {
    stays,
    goes,
    asks, ///< it should go, but something would be lost with it: it must be named
};
using PruneRule = std::function<Prune(const std::string& filter)>;

/// What a plan is made by, beside what is wanted and what is there.
struct Circumstances {
    std::vector<blkfilter::FilterInfo> registered{}; ///< filters of the modules that are loaded
    std::vector<std::string> fixed{}; ///< filters that take no other options while they are attached
    PruneRule prune{};                ///< nothing: none goes
};

/// Whose a filter is where @p wanted is declared.
Ownership ownership_of(const blkfilter::StackEntry& entry, std::span<const Wanted> wanted);

/// @param wanted  each filter once.
Plan make_plan(std::span<const Wanted> wanted, const blkfilter::Stack& present,
               const Circumstances& circumstances);

} // namespace filterd
