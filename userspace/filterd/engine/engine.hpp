// SPDX-License-Identifier: MIT
/// @file
/// What filterd needs of the kernel. There is one that is real (kernel.hpp) and one that is simulated
/// (simulated.hpp), so that planning, applying and the daemon are tested without a kernel.
#pragma once

#include <blkfilter/control.hpp>

#include <cstdint>
#include <span>
#include <string_view>
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

    /// Devices that have a filter.
    [[nodiscard]] virtual blkfilter::Result<std::vector<blkfilter::DeviceId>> devices() const = 0;

    [[nodiscard]] virtual blkfilter::Result<blkfilter::Version> version() const = 0;

    /// Control::add_rule(), remove_rule(), rules().
    [[nodiscard]] virtual blkfilter::Result<std::uint32_t> add_rule(const blkfilter::RuleRequest& rule) = 0;
    [[nodiscard]] virtual blkfilter::Result<void> remove_rule(std::uint32_t id) = 0;
    [[nodiscard]] virtual blkfilter::Result<std::vector<blkfilter::Rule>> rules() const = 0;

    /// Control::point(): waits until it is over.
    [[nodiscard]] virtual blkfilter::Result<blkfilter::Point>
    point(const blkfilter::PointRequest& request) = 0;

    /// Control::command(). From any thread.
    [[nodiscard]] virtual blkfilter::Result<std::size_t> command(const blkfilter::DeviceId& device,
                                                                 std::string_view filter,
                                                                 std::uint32_t number,
                                                                 std::span<std::byte> argument) = 0;
};

} // namespace filterd
