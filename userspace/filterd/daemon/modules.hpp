// SPDX-License-Identifier: MIT
/// @file
/// The kernel's modules.
#pragma once

#include <blkfilter/error.hpp>

#include <string>

namespace filterd {

class Modules {
public:
    Modules() = default;
    Modules(const Modules&) = delete;
    Modules& operator=(const Modules&) = delete;
    virtual ~Modules() = default;

    /// Loads a module and what it needs; done when it is there already. The message says what to do.
    virtual blkfilter::Result<void> load(const std::string& module) = 0;
};

/// As modprobe does, by libkmod.
class KernelModules final : public Modules {
public:
    blkfilter::Result<void> load(const std::string& module) override;
};

/// None is loaded: for looking at files.
class NoModules final : public Modules {
public:
    blkfilter::Result<void> load(const std::string&) override { return {}; }
};

} // namespace filterd
