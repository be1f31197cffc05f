// SPDX-License-Identifier: MIT
#include "engine/plan.hpp"

#include <gtest/gtest.h>

namespace filterd {

namespace {

using blkfilter::Altitude;
using blkfilter::FilterInfo;
using blkfilter::OwnerTag;
using blkfilter::Stack;
using blkfilter::StackEntry;

Altitude at(std::uint64_t units) {
    return Altitude{units * Altitude::millionths_per_unit};
}

const PruneRule all_go = [](const std::string&) { return Prune::goes; };

const std::vector<FilterInfo> registered{{.name = "cbt", .default_altitude = at(450)},
                                         {.name = "snap", .default_altitude = at(350)},
                                         {.name = "acme", .default_altitude = at(450)}};

StackEntry entry(std::string name, std::uint64_t altitude, OwnerTag owner = declared_tag) {
    return {.name = std::move(name), .altitude = at(altitude), .owner = owner};
}

Stack stack(std::vector<StackEntry> entries) {
    return {.device = {}, .generation = 1, .entries = std::move(entries)};
}

Plan plan(const std::vector<Wanted>& wanted, const Stack& present, const PruneRule& prune = {}) {
    return make_plan(wanted, present, {.registered = registered, .fixed = {"snap"}, .prune = prune});
}

std::string text(const Plan& plan) {
    std::string all;
    for (const auto& step : plan.steps) {
        constexpr std::string_view signs = "+~-!";
        all += signs.at(static_cast<std::size_t>(step.kind));
        all += step.filter + ": " + step.text + "\n";
    }
    return all;
}

std::string order(const Plan& plan) {
    std::string all;
    for (const auto& entry : plan.entries)
        all += entry.name + "@" + (entry.altitude ? entry.altitude->to_string() : "") + " ";
    return all;
}

TEST(Plan, attaches_what_is_missing) {
    const auto made = plan({{.name = "cbt"}, {.name = "snap", .altitude = at(500)}}, stack({}));
    EXPECT_EQ(text(made), "+cbt: at altitude 450\n+snap: at altitude 500\n");
    EXPECT_EQ(order(made), "cbt@450 snap@500 ");
    EXPECT_EQ(made.entries.at(0).owner, declared_tag);
}

TEST(Plan, of_what_is_there_already_is_empty) {
    const auto made = plan({{.name = "cbt"}}, stack({entry("cbt", 450)}));
    EXPECT_FALSE(made.changes());
    EXPECT_EQ(made.ownership, std::vector{Ownership::declared});
}

TEST(Plan, changes_altitude_and_options) {
    const auto made = plan({{.name = "cbt", .altitude = at(460), .options = blkfilter::to_bytes("a=b")}},
                           stack({entry("cbt", 450)}));
    EXPECT_EQ(text(made), "~cbt: altitude 450 to 460\n~cbt: other options\n");
}

TEST(Plan, is_blocked_by_a_filter_that_takes_no_other_options) {
    const auto made = plan({{.name = "cbt", .options = blkfilter::to_bytes("a=b")},
                            {.name = "snap", .options = blkfilter::to_bytes("a=b")}},
                           stack({entry("cbt", 450), entry("snap", 350)}));
    EXPECT_EQ(
        text(made),
        "~cbt: other options\n!snap: it takes no other options while it is attached: detach it first\n");
    EXPECT_EQ(made.entries.at(1).options, blkfilter::Bytes{});
}

TEST(Plan, keeps_what_no_file_declares_any_more_until_it_is_pruned) {
    const auto present = stack({entry("cbt", 450), entry("snap", 350)});
    auto made = plan({{.name = "snap"}}, present);
    EXPECT_EQ(text(made), "");
    EXPECT_EQ(made.ownership.at(0), Ownership::orphaned);
    made = plan({{.name = "snap"}}, present, all_go);
    EXPECT_EQ(text(made), "-cbt: no file declares it any more\n");
    EXPECT_EQ(order(made), "snap@350 ");
}

TEST(Plan, never_touches_what_is_foreign_or_requested) {
    const auto present = stack({entry("cbt", 450, {}), entry("snap", 350, requested_tag)});
    const auto made = plan({}, present, all_go);
    EXPECT_FALSE(made.changes());
    EXPECT_EQ(order(made), "cbt@450 snap@350 ");
    EXPECT_EQ(made.ownership, (std::vector{Ownership::foreign, Ownership::requested}));
}

TEST(Plan, is_blocked_by_a_foreign_one_of_the_same_name) {
    const auto made = plan({{.name = "cbt", .altitude = at(1)}}, stack({entry("cbt", 450, {})}));
    EXPECT_EQ(text(made), "!cbt: somebody else has attached it: detach it, or take it out of the file\n");
    EXPECT_EQ(order(made), "cbt@450 ");
}

TEST(Plan, adopts_what_was_attached_on_request) {
    const auto made = plan({{.name = "cbt"}}, stack({entry("cbt", 450, requested_tag)}));
    EXPECT_EQ(text(made), "~cbt: a file declares it now\n");
    EXPECT_EQ(made.entries.at(0).owner, declared_tag);
}

TEST(Plan, is_blocked_by_an_altitude_that_is_taken) {
    EXPECT_EQ(text(plan({{.name = "cbt"}}, stack({entry("acme", 450, {})}))),
              "!cbt: altitude 450 is that of 'acme'\n");
    EXPECT_EQ(text(plan({{.name = "cbt"}, {.name = "acme"}}, stack({}))),
              "+cbt: at altitude 450\n!acme: altitude 450 is that of 'cbt'\n");
}

TEST(Plan, says_that_a_module_is_missing) {
    EXPECT_EQ(text(plan({{.name = "nothing"}}, stack({}))),
              "!nothing: no module that is loaded has this filter\n");
}

TEST(Plan, exchanges_altitudes_in_one_step) {
    const auto made = plan({{.name = "cbt", .altitude = at(350)}, {.name = "snap", .altitude = at(450)}},
                           stack({entry("cbt", 450), entry("snap", 350)}));
    EXPECT_EQ(order(made), "cbt@350 snap@450 ");
    EXPECT_FALSE(made.is_blocked());
}

TEST(Plan, whoever_cannot_move_is_in_others_way) {
    // cbt shall go where the foreign one is, so snap cannot have cbt's place.
    const auto made = plan({{.name = "snap", .altitude = at(450)}, {.name = "cbt", .altitude = at(700)}},
                           stack({entry("acme", 700, {}), entry("cbt", 450), entry("snap", 350)}));
    EXPECT_EQ(text(made), "!cbt: altitude 700 is that of 'acme'\n!snap: altitude 450 is that of 'cbt'\n");
    EXPECT_EQ(order(made), "acme@700 cbt@450 snap@350 ");
}

} // namespace

} // namespace filterd
