// SPDX-License-Identifier: MIT
#include "fake_kernel.hpp"

#include <cerrno>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace blkfilter {

namespace {

using test::at;
using test::control_of;
using test::device;
using testing::ElementsAre;

/// A kernel with one device and its stack.
struct StackKernel {
    struct Filter {
        std::string name;
        std::uint64_t altitude;
        std::string options;
    };
    std::uint64_t generation{7};
    std::vector<Filter> filters;
    /// Somebody else changes the stack before each of the next so many SETs.
    int overtakers{};
    /// The last SET.
    blkfilter_stack set{};

    int operator()(unsigned long request, void* argument) {
        auto& raw = *static_cast<blkfilter_stack*>(argument);
        EXPECT_EQ(raw.size, sizeof(raw));
        EXPECT_EQ(raw.entry_size, sizeof(blkfilter_stack_entry));
        EXPECT_EQ(raw.device.diskseq, device.diskseq);
        if (request == BLKFILTER_IOC_GET_STACK)
            return get_stack(raw);
        EXPECT_EQ(request, BLKFILTER_IOC_SET_STACK);
        return set_stack(raw);
    }

    int get_stack(blkfilter_stack& raw) const {
        for (std::size_t i = 0; i < std::min<std::size_t>(raw.count, filters.size()); ++i) {
            auto& entry = at<blkfilter_stack_entry>(raw.entries)[i];
            test::put(entry.name, filters[i].name);
            entry.altitude = filters[i].altitude;
            const auto& options = filters[i].options;
            std::memcpy(at<char>(entry.options), options.data(), options.size());
            entry.options_size = static_cast<std::uint32_t>(options.size());
            entry.statistics.bios[BLKFILTER_GROUP_WRITE] = 5;
        }
        raw.count = static_cast<std::uint32_t>(filters.size());
        raw.generation = generation;
        return 0;
    }

    int set_stack(blkfilter_stack& raw) {
        set = raw;
        if (overtakers-- > 0)
            ++generation;
        if ((raw.flags & BLKFILTER_STACK_EXPECT) && raw.generation != generation)
            return -ESTALE;
        filters.clear();
        for (std::uint32_t i = 0; i < raw.count; ++i) {
            const auto& entry = at<blkfilter_stack_entry>(raw.entries)[i];
            EXPECT_EQ(entry.flags, 0U);
            filters.push_back({std::string{test::text(entry.name)},
                               entry.altitude,
                               {at<char>(entry.options), entry.options_size}});
        }
        raw.generation = ++generation;
        return 0;
    }

    [[nodiscard]] std::vector<std::string> names() const {
        std::vector<std::string> names;
        for (const auto& filter : filters)
            names.push_back(filter.name);
        return names;
    }
};

class StackTest : public testing::Test {
protected:
    StackKernel kernel_;
    Control control_{control_of(std::ref(kernel_))};
};

EntryRequest entry_of(std::string name) {
    EntryRequest entry;
    entry.name = std::move(name);
    return entry;
}

/// A kernel that refuses every change, blaming entry @p failed.
std::string refusal(int code, std::uint32_t failed) {
    const auto control = control_of([=](unsigned long, void* argument) {
        static_cast<blkfilter_stack*>(argument)->failed = failed;
        return -code;
    });
    std::vector entries{entry_of("acme"), entry_of("other")};
    entries[1].replaces = "old";
    const auto generation = control.set_stack(device, entries);
    return generation ? "no error" : generation.error().message;
}

TEST_F(StackTest, is_read_with_options_and_statistics) {
    kernel_.filters = {{"acme", 450'000'500'000, "a=1"}, {"other", 1, ""}};
    const auto stack = control_.stack(device);
    ASSERT_TRUE(stack);
    EXPECT_EQ(stack->generation, 7U);
    ASSERT_EQ(stack->entries.size(), 2U);
    EXPECT_EQ(stack->entries[0].name, "acme");
    EXPECT_EQ(stack->entries[0].altitude.to_string(), "450000.5");
    EXPECT_EQ(stack->entries[0].options, to_bytes("a=1"));
    EXPECT_EQ(stack->entries[0].statistics.bios_of(Group::write), 5U);
    EXPECT_EQ(stack->entries[1].options, Bytes{});
}

TEST_F(StackTest, of_a_later_kernel_may_be_longer_than_we_know) {
    for (int i = 0; i < 40; ++i)
        kernel_.filters.push_back({"filter-" + std::to_string(i), 100U - static_cast<unsigned>(i), ""});
    const auto stack = control_.stack(device);
    ASSERT_TRUE(stack);
    ASSERT_EQ(stack->entries.size(), 40U);
    EXPECT_EQ(stack->entries[39].name, "filter-39");
}

TEST_F(StackTest, is_set_with_what_was_asked_for) {
    auto entry = entry_of("acme");
    entry.altitude = Altitude::parse("450000.5").value();
    entry.options = to_bytes("a=1");
    const auto generation = control_.set_stack(
        device, std::span{&entry, 1},
        {.dry_run = true, .expected_generation = 7, .confirm = true, .limit = std::chrono::milliseconds{30}});
    EXPECT_EQ(generation, 8U);
    EXPECT_EQ(kernel_.set.flags, BLKFILTER_STACK_DRY_RUN | BLKFILTER_STACK_EXPECT | BLKFILTER_STACK_CONFIRM);
    EXPECT_EQ(kernel_.set.limit_ms, 30U);
    ASSERT_EQ(kernel_.filters.size(), 1U);
    EXPECT_EQ(kernel_.filters[0].altitude, 450'000'500'000U);
    EXPECT_EQ(kernel_.filters[0].options, "a=1");
}

TEST_F(StackTest, a_default_altitude_and_no_expectation_are_zero) {
    const auto entry = entry_of("acme");
    EXPECT_TRUE(control_.set_stack(device, std::span{&entry, 1}));
    EXPECT_EQ(kernel_.set.flags, 0U);
    EXPECT_EQ(kernel_.set.generation, 0U);
    EXPECT_EQ(kernel_.filters[0].altitude, 0U);
}

TEST_F(StackTest, attach_keeps_the_others_as_they_are) {
    kernel_.filters = {{"other", 9, "x"}};
    EXPECT_EQ(control_.attach(device, entry_of("acme")), 8U);
    EXPECT_THAT(kernel_.names(), ElementsAre("other", "acme"));
    EXPECT_EQ(kernel_.filters[0].altitude, 9U);
    EXPECT_EQ(kernel_.filters[0].options, "x");
}

TEST_F(StackTest, attach_takes_off_what_it_replaces) {
    kernel_.filters = {{"old", 9, ""}, {"other", 8, ""}};
    auto entry = entry_of("new");
    entry.replaces = "old";
    EXPECT_TRUE(control_.attach(device, entry));
    EXPECT_THAT(kernel_.names(), ElementsAre("other", "new"));
}

TEST_F(StackTest, attach_of_an_attached_filter_says_where_it_is) {
    kernel_.filters = {{"acme", 450'000'500'000, ""}};
    const auto generation = control_.attach(device, entry_of("acme"));
    ASSERT_FALSE(generation);
    EXPECT_EQ(generation.error().code, EALREADY);
    EXPECT_EQ(generation.error().message, "4095:7: acme: already attached, at altitude 450000.5");
}

TEST_F(StackTest, detach_keeps_the_others) {
    kernel_.filters = {{"acme", 9, ""}, {"other", 8, ""}};
    EXPECT_EQ(control_.detach(device, "acme"), 8U);
    EXPECT_THAT(kernel_.names(), ElementsAre("other"));
}

TEST_F(StackTest, detach_of_what_is_not_there_says_what_is) {
    kernel_.filters = {{"acme", 9, ""}, {"other", 8, ""}};
    const auto generation = control_.detach(device, "third");
    ASSERT_FALSE(generation);
    EXPECT_EQ(generation.error().code, ENOENT);
    EXPECT_EQ(generation.error().message, "4095:7: third: not attached; attached: acme, other");
    kernel_.filters.clear();
    EXPECT_EQ(control_.detach(device, "third").error().message,
              "4095:7: third: not attached; attached: nothing");
}

TEST_F(StackTest, an_edit_that_is_overtaken_starts_again) {
    kernel_.overtakers = 3;
    EXPECT_EQ(control_.attach(device, entry_of("acme")), 11U);
    EXPECT_THAT(kernel_.names(), ElementsAre("acme"));
}

TEST_F(StackTest, an_edit_that_is_overtaken_for_ever_gives_up) {
    kernel_.overtakers = 1000;
    const auto generation = control_.attach(device, entry_of("acme"));
    ASSERT_FALSE(generation);
    EXPECT_EQ(generation.error().code, ESTALE);
}

TEST_F(StackTest, an_edit_of_an_expected_generation_is_tried_once) {
    const auto generation =
        control_.attach(device, entry_of("acme"),
                        {.dry_run = false, .expected_generation = 6, .confirm = false, .limit = {}});
    ASSERT_FALSE(generation);
    EXPECT_EQ(generation.error().code, ESTALE);
    EXPECT_EQ(generation.error().message,
              "4095:7: its stack is not of generation 6 any more: somebody changed it");
}

TEST(StackRefusal, names_the_entry_and_the_reason) {
    EXPECT_EQ(refusal(ENOENT, 0), "4095:7: acme: no such filter: its module is not loaded");
    EXPECT_EQ(refusal(ENOENT, 1),
              "4095:7: other: its module is not loaded, or what it replaces is not attached");
    EXPECT_EQ(refusal(EINVAL, 0), "4095:7: acme: refused as invalid: its options");
    EXPECT_EQ(refusal(EINVAL, 1),
              "4095:7: other: refused as invalid: its options, or what it replaces stays in the stack");
    EXPECT_EQ(refusal(EEXIST, 1), "4095:7: other: named twice");
    EXPECT_EQ(refusal(EBUSY, 1),
              "4095:7: other: another filter is at its altitude, or the filter itself refuses");
    EXPECT_EQ(refusal(EBUSY, BLKFILTER_NO_ENTRY),
              "4095:7: a filter refuses to be detached, or another program changes this stack now");
    EXPECT_EQ(refusal(ETIMEDOUT, BLKFILTER_NO_ENTRY),
              "4095:7: bios on their way did not drain in time, nothing has changed: try again, or "
              "with a longer limit");
    EXPECT_EQ(refusal(ENOSPC, 0), "4095:7: acme: No space left on device");
}

TEST(StackRefusal, comes_before_the_kernel_where_the_request_cannot_be_sent) {
    const auto control = test::refusing_control(EIO);
    const auto set = [&](const EntryRequest& entry) {
        return control.set_stack(device, std::span{&entry, 1}).error();
    };
    EXPECT_EQ(set(entry_of("")).message, "4095:7: filter: its name is empty");
    EXPECT_EQ(set(entry_of(std::string(32, 'x'))).code, ENAMETOOLONG);
    EXPECT_EQ(set(entry_of(std::string{"a\0b", 3})).code, EINVAL);
    auto long_options = entry_of("acme");
    long_options.options.resize(4097);
    EXPECT_EQ(set(long_options).message, "4095:7: acme: options of 4097 bytes: at most 4096 are possible");
    EXPECT_EQ(control.set_stack(device, std::vector(33, entry_of("acme"))).error().message,
              "4095:7: stack: more than 32 filters");
    EXPECT_EQ(control
                  .set_stack(device, {},
                             {.dry_run = false,
                              .expected_generation = {},
                              .confirm = false,
                              .limit = std::chrono::milliseconds{-1}})
                  .error()
                  .code,
              ERANGE);
}

} // namespace

} // namespace blkfilter
