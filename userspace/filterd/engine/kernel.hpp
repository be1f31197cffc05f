// SPDX-License-Identifier: MIT
/// @file
/// The kernel's core, by libblkfilter.
#pragma once

#include "engine/engine.hpp"

#include <mutex>
#include <optional>

namespace filterd {

/// Opens /dev/blkfilter when it is first asked something, so that filterd lives, and says what is wrong,
/// where the module cannot be loaded. Errors: Control::open()'s beside those of Control.
class KernelEngine final : public Engine {
public:
    [[nodiscard]] blkfilter::Result<std::vector<blkfilter::FilterInfo>> filters() const override;
    [[nodiscard]] blkfilter::Result<blkfilter::Stack> stack(const blkfilter::DeviceId& device) const override;
    [[nodiscard]] blkfilter::Result<std::uint64_t> set_stack(const blkfilter::DeviceId& device,
                                                             std::span<const blkfilter::EntryRequest> entries,
                                                             const blkfilter::StackChange& change) override;
    [[nodiscard]] blkfilter::Result<std::vector<blkfilter::DeviceId>> devices() const override;
    [[nodiscard]] blkfilter::Result<blkfilter::Version> version() const override;
    [[nodiscard]] blkfilter::Result<std::uint32_t> add_rule(const blkfilter::RuleRequest& rule) override;
    [[nodiscard]] blkfilter::Result<void> remove_rule(std::uint32_t id) override;
    [[nodiscard]] blkfilter::Result<std::vector<blkfilter::Rule>> rules() const override;
    [[nodiscard]] blkfilter::Result<blkfilter::Point> point(const blkfilter::PointRequest& request) override;
    [[nodiscard]] blkfilter::Result<std::size_t> command(const blkfilter::DeviceId& device,
                                                         std::string_view filter, std::uint32_t number,
                                                         std::span<std::byte> argument) override;

private:
    /// The open device, or why it is not.
    blkfilter::Result<const blkfilter::Control*> control() const;

    mutable std::mutex mutex_; ///< of control_'s being set; nothing is held while the kernel works
    mutable std::optional<blkfilter::Control> control_;
};

} // namespace filterd
