// SPDX-License-Identifier: MIT
/// @file
/// What doctor looks at, replaceable for tests.
#pragma once

#include "client/failure.hpp"

#include <blkfilter/error.hpp>
#include <blkfilter/types.hpp>

#include <expected>
#include <optional>
#include <string>
#include <vector>

namespace filterctl {

/// A kernel module that is installed for the running kernel.
struct InstalledModule {
    std::string file;   ///< empty when it is built in
    std::string signer; ///< empty when it is not signed
};

/// A daemon that answers.
struct RunningDaemon {
    std::string version;
    std::vector<std::string> modules{}; ///< kernel modules that its plugins want
};

class System {
public:
    System() = default;
    System(const System&) = delete;
    System& operator=(const System&) = delete;
    virtual ~System() = default;

    /// As uname -r prints it.
    [[nodiscard]] virtual std::string kernel_release() const = 0;

    /// The text of a file; an errno value when it cannot be read.
    [[nodiscard]] virtual std::expected<std::string, int> read(const std::string& path) const = 0;

    /// Nothing: it is not installed.
    [[nodiscard]] virtual std::optional<InstalledModule> module(const std::string& name) const = 0;

    /// Opens the control device and asks for its version.
    [[nodiscard]] virtual blkfilter::Result<blkfilter::Version> control() const = 0;

    [[nodiscard]] virtual Result<RunningDaemon> daemon() const = 0;
};

/// This machine.
class RealSystem final : public System {
public:
    /// @p socket: where filterd listens.
    explicit RealSystem(std::string socket) : socket_{std::move(socket)} {}

    [[nodiscard]] std::string kernel_release() const override;
    [[nodiscard]] std::expected<std::string, int> read(const std::string& path) const override;
    [[nodiscard]] std::optional<InstalledModule> module(const std::string& name) const override;
    [[nodiscard]] blkfilter::Result<blkfilter::Version> control() const override;
    [[nodiscard]] Result<RunningDaemon> daemon() const override;

private:
    std::string socket_;
};

} // namespace filterctl
