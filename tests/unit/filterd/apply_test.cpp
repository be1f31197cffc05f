// SPDX-License-Identifier: MIT
#include "engine/apply.hpp"
#include "engine/simulated.hpp"

#include <algorithm>
#include <cerrno>
#include <gtest/gtest.h>
#include <random>

namespace filterd {

namespace {

using blkfilter::Altitude;
using blkfilter::DeviceId;
using blkfilter::EntryRequest;
using blkfilter::OwnerTag;
using blkfilter::StackEntry;

constexpr DeviceId disk{8, 0, 1};

const PruneRule all_go = [](const std::string&) { return Prune::goes; };

Altitude at(std::uint64_t units) {
    return Altitude{units * Altitude::millionths_per_unit};
}

/// A kernel with filters a to h, at altitudes 100 to 800.
void fill(SimulatedEngine& kernel) {
    for (std::uint64_t i = 0; i < 8; ++i)
        kernel.register_filter(std::string(1, static_cast<char>('a' + i)), at(100 * (i + 1)), i % 3 == 0);
    kernel.add_device(disk);
}

std::vector<StackEntry> entries_of(const SimulatedEngine& kernel) {
    return kernel.stack(disk).value().entries;
}

std::string names(const SimulatedEngine& kernel) {
    std::string all;
    for (const auto& entry : entries_of(kernel))
        all += entry.name;
    return all;
}

TEST(Apply, twice_changes_nothing_the_second_time) {
    SimulatedEngine kernel;
    fill(kernel);
    const std::vector<Wanted> wanted{{.name = "a"}, {.name = "c"}};
    EXPECT_TRUE(apply(kernel, disk, wanted)->changed);
    EXPECT_EQ(names(kernel), "ca");
    const auto generation = kernel.stack(disk)->generation;
    EXPECT_FALSE(apply(kernel, disk, wanted)->changed);
    EXPECT_EQ(kernel.stack(disk)->generation, generation);
}

TEST(Apply, begins_again_when_somebody_else_was_faster) {
    SimulatedEngine kernel;
    fill(kernel);
    bool busy = false;
    int left = 3;
    kernel.interfere = [&](const DeviceId& device) {
        if (busy || left-- <= 0)
            return 0;
        busy = true;
        std::vector<EntryRequest> entries;
        for (const auto& entry : entries_of(kernel))
            entries.push_back(request_of(entry));
        entries.push_back({.name = std::string(1, static_cast<char>('f' + left))});
        EXPECT_TRUE(kernel.set_stack(device, entries, {}));
        busy = false;
        return 0;
    };
    const std::vector<Wanted> wanted{{.name = "a"}};
    EXPECT_TRUE(apply(kernel, disk, wanted, {.prune = all_go})->changed);
    EXPECT_EQ(names(kernel), "hgfa");
}

TEST(Apply, reports_what_the_kernel_refuses_and_has_changed_nothing) {
    SimulatedEngine kernel;
    fill(kernel);
    kernel.interfere = [](const DeviceId&) { return EBUSY; };
    const std::vector<Wanted> wanted{{.name = "a"}};
    EXPECT_EQ(apply(kernel, disk, wanted).error().code, EBUSY);
    EXPECT_EQ(names(kernel), "");
    EXPECT_EQ(apply(kernel, DeviceId{8, 16, 2}, wanted).error().code, ENODEV);
}

TEST(Apply, gives_up_when_others_never_stop) {
    SimulatedEngine kernel;
    fill(kernel);
    kernel.interfere = [](const DeviceId&) { return ESTALE; };
    const std::vector<Wanted> wanted{{.name = "a"}};
    EXPECT_EQ(apply(kernel, disk, wanted).error().code, ESTALE);
}

/// What others do, and what the files say, at random.
class Random {
public:
    explicit Random(std::uint32_t seed) : chance_{seed} {
        fill(kernel_);
        kernel_.interfere = [this](const DeviceId&) { return interferes(); };
    }

    void run(int events) {
        for (int i = 0; i < events; ++i) {
            event();
            const auto foreign = owned_by_others();
            static_cast<void>(apply(kernel_, disk, wanted_, {.prune = one_of(2) == 0 ? all_go : nullptr}));
            ASSERT_EQ(foreign, owned_by_others()) << "somebody else's filter was touched";
        }
        quiet_ = true;
        // Nobody disturbs any more: what can be is now, and a second time changes nothing.
        auto last = apply(kernel_, disk, wanted_, {.prune = all_go});
        ASSERT_TRUE(last) << last.error().code;
        ASSERT_FALSE(apply(kernel_, disk, wanted_, {.prune = all_go})->changed);
        expect_converged(last->done);
    }

private:
    std::uint32_t one_of(std::uint32_t n) {
        return std::uniform_int_distribution<std::uint32_t>{0, n - 1}(chance_);
    }
    std::string a_name() { return std::string(1, static_cast<char>('a' + one_of(8))); }
    std::optional<Altitude> an_altitude() {
        return one_of(2) == 0 ? std::nullopt : std::optional{at(100 * (one_of(10) + 1))};
    }

    void event() {
        switch (one_of(3)) {
        case 0:
            declare();
            break;
        case 1:
            somebody_else();
            break;
        default:
            if (one_of(20) == 0)
                kernel_.add_device(disk); // exchanged: nothing is on it
        }
    }

    void declare() {
        wanted_.clear();
        for (char name = 'a'; name <= 'h'; ++name)
            if (one_of(3) == 0)
                wanted_.push_back({.name = std::string(1, name),
                                   .altitude = an_altitude(),
                                   .options = blkfilter::Bytes(one_of(2))});
        std::ranges::shuffle(wanted_, chance_);
    }

    void somebody_else() {
        auto entries = std::vector<EntryRequest>{};
        for (const auto& entry : entries_of(kernel_))
            if (one_of(3) != 0)
                entries.push_back(request_of(entry));
        entries.push_back({.name = a_name(),
                           .altitude = an_altitude(),
                           .owner = one_of(2) == 0 ? OwnerTag{} : requested_tag});
        const auto was = std::exchange(quiet_, true);
        static_cast<void>(kernel_.set_stack(disk, entries, {}));
        quiet_ = was;
    }

    int interferes() {
        if (quiet_)
            return 0;
        constexpr std::array errors{EBUSY, ETIMEDOUT, ENOMEM, EINTR, ESTALE};
        return one_of(4) == 0 ? errors.at(one_of(errors.size())) : 0;
    }

    std::vector<std::string> owned_by_others() {
        std::vector<std::string> list;
        for (const auto& entry : entries_of(kernel_)) {
            const bool wanted = std::ranges::find(wanted_, entry.name, &Wanted::name) != wanted_.end();
            if (entry.owner != declared_tag && !(wanted && entry.owner == requested_tag))
                list.push_back(entry.name + entry.altitude.to_string());
        }
        return list;
    }

    /// Every filter that is declared is there, unless the plan says why not; and nothing else of ours is.
    void expect_converged(const Plan& done) {
        const auto stack = *kernel_.stack(disk);
        for (const auto& filter : wanted_) {
            const auto blocked = std::ranges::any_of(done.steps, [&](const Step& step) {
                return step.kind == Step::Kind::blocked && step.filter == filter.name;
            });
            const auto found = std::ranges::find(stack.entries, filter.name, &StackEntry::name);
            const bool there = found != stack.entries.end() && found->owner == declared_tag &&
                               (!filter.altitude || *filter.altitude == found->altitude);
            ASSERT_TRUE(there || blocked) << filter.name << " is missing";
        }
        for (const auto& entry : stack.entries)
            ASSERT_TRUE(entry.owner != declared_tag ||
                        std::ranges::find(wanted_, entry.name, &Wanted::name) != wanted_.end())
                << entry.name << " should have been pruned";
    }

    std::mt19937 chance_;
    SimulatedEngine kernel_;
    std::vector<Wanted> wanted_;
    bool quiet_{};
};

TEST(Apply, converges_whatever_happens_and_never_touches_what_is_others) {
    for (std::uint32_t seed = 1; seed <= 2000; ++seed) {
        SCOPED_TRACE(seed);
        Random{seed}.run(20);
        if (testing::Test::HasFatalFailure())
            return;
    }
}

} // namespace

} // namespace filterd
