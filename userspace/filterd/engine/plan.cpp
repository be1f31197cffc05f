// SPDX-License-Identifier: MIT
#include "engine/plan.hpp"

#include <algorithm>
#include <array>
#include <fmt/format.h>

namespace filterd {

using blkfilter::Altitude;
using blkfilter::EntryRequest;
using blkfilter::OwnerTag;
using blkfilter::Stack;
using blkfilter::StackEntry;

namespace {

constexpr OwnerTag tag(std::string_view text) {
    OwnerTag::Array bytes{};
    for (std::size_t i = 0; i < text.size(); ++i)
        bytes.at(i) = static_cast<std::byte>(text[i]);
    return OwnerTag{bytes};
}

/// The one of that name, or nullptr.
template <class List>
auto find(const List& list, std::string_view name) {
    const auto found =
        std::ranges::find(list, name, [](const auto& one) -> std::string_view { return one.name; });
    return found == std::end(list) ? nullptr : &*found;
}

bool contains(const std::vector<std::string>& names, const std::string& name) {
    return std::ranges::find(names, name) != names.end();
}

/// Makes one plan.
class Planner {
public:
    Planner(std::span<const Wanted> wanted, const Stack& present, const Circumstances& circumstances)
        : wanted_{wanted}, present_{present}, circumstances_{circumstances} {}

    /// Where a filter cannot go where it shall, it stays and is in others' way: then all is looked at again.
    Plan make() {
        std::size_t known = 0;
        do {
            known = stuck_.size();
            plan_ = {};
            for (const auto& entry : present_.entries)
                keep(entry);
            for (const auto& filter : wanted_)
                if (!find(present_.entries, filter.name))
                    attach(filter);
        } while (stuck_.size() != known);
        return std::move(plan_);
    }

private:
    void step(Step::Kind kind, std::string_view filter, std::string text) {
        plan_.steps.push_back({kind, std::string{filter}, std::move(text)});
    }

    [[nodiscard]] Ownership ownership_of(const StackEntry& entry) const {
        return filterd::ownership_of(entry, wanted_);
    }

    /// The altitude that a filter shall have; nothing while no module of it is loaded.
    [[nodiscard]] std::optional<Altitude> altitude_of(const Wanted& filter) const {
        if (filter.altitude)
            return filter.altitude;
        const auto* info = find(circumstances_.registered, filter.name);
        return info ? std::optional{info->default_altitude} : std::nullopt;
    }

    /// Who else is at @p altitude in the stack that is planned, or will stay there.
    [[nodiscard]] std::string taken_by(Altitude altitude, std::string_view but) const {
        for (const auto& entry : plan_.entries)
            if (entry.name != but && entry.altitude == altitude)
                return entry.name;
        for (const auto& entry : present_.entries)
            if (entry.name != but && entry.altitude == altitude && stays_where_it_is(entry))
                return entry.name;
        return {};
    }

    [[nodiscard]] bool stays_where_it_is(const StackEntry& entry) const {
        const auto ownership = ownership_of(entry);
        const auto* filter = find(wanted_, entry.name);
        if (ownership == Ownership::orphaned)
            return fate_of(entry, ownership) != Prune::goes;
        return ownership == Ownership::foreign || !filter || contains(stuck_, entry.name) ||
               altitude_of(*filter).value_or(entry.altitude) == entry.altitude;
    }

    [[nodiscard]] Prune fate_of(const StackEntry& entry, Ownership ownership) const {
        return ownership == Ownership::orphaned && circumstances_.prune ? circumstances_.prune(entry.name)
                                                                        : Prune::stays;
    }

    void keep(const StackEntry& entry) {
        const auto ownership = ownership_of(entry);
        plan_.ownership.push_back(ownership);
        const auto* filter = find(wanted_, entry.name);
        const auto fate = fate_of(entry, ownership);
        if (fate == Prune::goes) {
            step(Step::Kind::detach, entry.name, "no file declares it any more");
            return;
        }
        if (fate == Prune::asks)
            step(Step::Kind::blocked, entry.name,
                 fmt::format("its history would be lost: name it, --prune-named {}", entry.name));
        if (!filter || ownership == Ownership::foreign) {
            if (filter)
                step(Step::Kind::blocked, entry.name,
                     "somebody else has attached it: detach it, or take it out of the file");
            plan_.entries.push_back(request_of(entry));
            return;
        }
        change(entry, *filter);
    }

    void change(const StackEntry& entry, const Wanted& filter) {
        auto request = request_of(entry);
        const auto altitude = altitude_of(filter).value_or(entry.altitude);
        if (altitude != entry.altitude) {
            if (const auto other = taken_by(altitude, entry.name); !other.empty()) {
                step(Step::Kind::blocked, entry.name,
                     fmt::format("altitude {} is that of '{}'", altitude.to_string(), other));
                if (!contains(stuck_, entry.name))
                    stuck_.push_back(entry.name);
                plan_.entries.push_back(std::move(request));
                return;
            }
            step(Step::Kind::change, entry.name,
                 fmt::format("altitude {} to {}", entry.altitude.to_string(), altitude.to_string()));
        }
        if (!filter.unusable.empty())
            step(Step::Kind::blocked, entry.name, filter.unusable);
        const bool other_options = filter.options && filter.options != entry.options;
        const bool fixed = contains(circumstances_.fixed, entry.name);
        if (other_options && fixed)
            step(Step::Kind::blocked, entry.name,
                 "it takes no other options while it is attached: detach it first");
        else if (other_options)
            step(Step::Kind::change, entry.name, "other options");
        if (entry.owner != declared_tag)
            step(Step::Kind::change, entry.name, "a file declares it now");
        request.altitude = altitude;
        if (!fixed && filter.options)
            request.options = *filter.options;
        request.owner = declared_tag;
        plan_.entries.push_back(std::move(request));
    }

    void attach(const Wanted& filter) {
        const auto altitude = altitude_of(filter);
        if (!filter.unusable.empty() || !filter.options) {
            step(Step::Kind::blocked, filter.name, filter.unusable);
            return;
        }
        if (!altitude || !find(circumstances_.registered, filter.name)) {
            step(Step::Kind::blocked, filter.name, "no module that is loaded has this filter");
            return;
        }
        if (const auto other = taken_by(*altitude, filter.name); !other.empty()) {
            step(Step::Kind::blocked, filter.name,
                 fmt::format("altitude {} is that of '{}'", altitude->to_string(), other));
            return;
        }
        step(Step::Kind::attach, filter.name, fmt::format("at altitude {}", altitude->to_string()));
        plan_.entries.push_back(
            {.name = filter.name, .altitude = altitude, .options = *filter.options, .owner = declared_tag});
    }

    std::span<const Wanted> wanted_;
    const Stack& present_;
    const Circumstances& circumstances_;
    Plan plan_;
    std::vector<std::string> stuck_; ///< what cannot have the altitude that it shall have
};

} // namespace

const OwnerTag declared_tag = tag("filterd:declared");
const OwnerTag requested_tag = tag("filterd:request");

Ownership ownership_of(const StackEntry& entry, std::span<const Wanted> wanted) {
    if (entry.owner == requested_tag)
        return Ownership::requested;
    if (entry.owner != declared_tag)
        return Ownership::foreign;
    return find(wanted, entry.name) ? Ownership::declared : Ownership::orphaned;
}

std::string_view to_string(Step::Kind kind) {
    constexpr std::array<std::string_view, 4> words{"attach", "change", "detach", "blocked"};
    return words.at(static_cast<std::size_t>(kind));
}

std::string_view to_string(Ownership ownership) {
    constexpr std::array<std::string_view, 4> words{"declared", "requested", "orphaned", "foreign"};
    return words.at(static_cast<std::size_t>(ownership));
}

bool Plan::changes() const {
    return std::ranges::any_of(steps, [](const Step& step) { return step.kind != Step::Kind::blocked; });
}

bool Plan::is_blocked() const {
    return std::ranges::any_of(steps, [](const Step& step) { return step.kind == Step::Kind::blocked; });
}

Plan make_plan(std::span<const Wanted> wanted, const Stack& present, const Circumstances& circumstances) {
    return Planner{wanted, present, circumstances}.make();
}

} // namespace filterd
