// SPDX-License-Identifier: MIT
/// @file
/// What filterd needs of the kernel. There is one that is real and one that is simulated, so that planning,
/// applying and the daemon are tested without a kernel.
#pragma once

#include <blkfilter/control.hpp>

#include <cstdint>
#include <span>
#include <vector>

namespace filterd {

class Engine {
public:
    Engine() = default;
    Engine(const Engine&) = delete;
    Engine& operator=(const Engine&) = delete;
    virtual ~Engine() = default;

    /// Filters of the modules that are loaded.
    [[nodiscard]] virtual blkfilter::Result<std::vector<blkfilter::FilterInfo>> filters() const = 0;

    /// What is on a device; empty for one that never had a filter. ENODEV: it does not exist any more.
    [[nodiscard]] virtual blkfilter::Result<blkfilter::Stack>
    stack(const blkfilter::DeviceId& device) const = 0;

    /// Control::set_stack(): all of it or nothing; the stack's new generation.
    [[nodiscard]] virtual blkfilter::Result<std::uint64_t>
    set_stack(const blkfilter::DeviceId& device, std::span<const blkfilter::EntryRequest> entries,
              const blkfilter::StackChange& change) = 0;
};

/// The kernel's core, by libblkfilter.
class KernelEngine final : public Engine {
public:
    explicit KernelEngine(blkfilter::Control control) : control_{std::move(control)} {}

    [[nodiscard]] blkfilter::Result<std::vector<blkfilter::FilterInfo>> filters() const override {
        return control_.filters();
    }
    [[nodiscard]] blkfilter::Result<blkfilter::Stack>
    stack(const blkfilter::DeviceId& device) const override {
        return control_.stack(device);
    }
    [[nodiscard]] blkfilter::Result<std::uint64_t> set_stack(const blkfilter::DeviceId& device,
                                                             std::span<const blkfilter::EntryRequest> entries,
                                                             const blkfilter::StackChange& change) override {
        return control_.set_stack(device, entries, change);
    }

private:
    blkfilter::Control control_;
};

} // namespace filterd
