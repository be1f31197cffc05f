// SPDX-License-Identifier: MIT
/// @file
/// Rules of the kernel that give devices their filters before the first bio.
#pragma once

#include "daemon/desired.hpp"
#include "engine/engine.hpp"

#include <cstdint>
#include <expected>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

namespace filterd {

/// Keeps the kernel's rules as the declarations want them. What filterd has made is noted in a file that
/// lives as long as the kernel does, so that a restarted filterd neither makes them twice nor removes those
/// of others.
class Rules {
public:
    Rules(Engine& engine, std::filesystem::path file);

    /// Adds what is missing, also what others have removed, then removes what is not wanted any more. For
    /// each declaration: how its devices are covered, for people. Where the file cannot be written no rule is
    /// made.
    std::vector<std::string> update(const Desired& desired);

private:
    /// Makes a rule unless it is there, when it could be @p noted. Error: why not.
    std::expected<void, std::string> make(const blkfilter::RuleRequest& rule,
                                          const std::expected<void, std::string>& noted);
    void forget_gone();
    void load();
    std::expected<void, std::string> save() const;

    Engine& engine_;
    std::filesystem::path file_;
    std::map<std::string, std::uint32_t> installed_; ///< what a rule says, and its number once it is made
};

} // namespace filterd
