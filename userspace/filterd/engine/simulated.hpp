// SPDX-License-Identifier: MIT
/// @file
/// A kernel that exists in memory only.
#pragma once

#include "engine/engine.hpp"

#include <functional>
#include <map>
#include <optional>

namespace filterd {

/// Keeps the rules that the kernel keeps: a filter once a device, an altitude once a device, filters that are
/// registered, a generation for each change, all of a transaction or nothing.
class SimulatedEngine final : public Engine {
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
    /// EOPNOTSUPP: its filters have no commands.
    [[nodiscard]] blkfilter::Result<std::size_t> command(const blkfilter::DeviceId& device,
                                                         std::string_view filter, std::uint32_t number,
                                                         std::span<std::byte> argument) override;

    /// A module is loaded. @p fixed_options: what it was attached with cannot be changed.
    void register_filter(const std::string& name, blkfilter::Altitude altitude, bool fixed_options = false);

    /// A device appears, and gets what the first rule says that fits what the kernel knows of it then.
    void add_device(const blkfilter::DeviceId& device, const blkfilter::RuleKeys& known = {});
    /// It is gone with all that was on it.
    void remove_device(const blkfilter::DeviceId& device);
    /// The time of all rules is over: what nobody has confirmed goes.
    void end_provisional();

    /// Asked before each transaction that would succeed; an errno fails it, 0 lets it happen. It may change
    /// stacks itself, as another program would.
    std::function<int(const blkfilter::DeviceId& device)> interfere;
    /// Called after a rule was made or removed, or a stack was set, before the caller knows: what it throws
    /// is a kill.
    std::function<void()> rule_changed;
    std::function<void()> stack_set;

private:
    struct Filter {
        blkfilter::FilterInfo info;
        bool fixed_options;
    };

    [[nodiscard]] int check(const blkfilter::Stack& present, std::span<const blkfilter::EntryRequest> entries,
                            std::vector<blkfilter::StackEntry>& next);
    [[nodiscard]] std::optional<blkfilter::StackEntry>
    entry_of(const blkfilter::Stack& present, const blkfilter::EntryRequest& request, int& error);

    std::map<std::string, Filter> filters_;
    std::map<blkfilter::DeviceId, blkfilter::Stack> stacks_;
    std::map<std::uint32_t, blkfilter::RuleRequest> rules_;
    std::uint64_t generation_{};
    std::uint64_t instance_{};
    std::uint32_t rule_{};
};

} // namespace filterd
