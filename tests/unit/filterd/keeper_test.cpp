// SPDX-License-Identifier: MIT
#include "daemon/keeper.hpp"
#include "engine/simulated.hpp"

#include <algorithm>
#include <cerrno>
#include <fmt/format.h>
#include <fstream>
#include <gtest/gtest.h>
#include <random>
#include <unistd.h>

namespace filterd {

namespace {

using blkfilter::Altitude;
using blkfilter::DeviceId;
using blkfilter::EntryRequest;
using blkfilter::Error;
using blkfilter::Result;
using device::Facts;

Altitude at(std::uint64_t units) {
    return Altitude{units * Altitude::millionths_per_unit};
}

/// Filters a to f; their one key 'level' is their options.
class FakeFilters : public Filters {
public:
    std::optional<blkfilter::Bytes> options(const config::Filter& filter,
                                            config::Diagnostics& diagnostics) override {
        for (const auto& [key, value] : filter.options)
            if (key.yaml().Scalar() == "level")
                return blkfilter::to_bytes(value.yaml().Scalar());
            else
                diagnostics.error(key.position(), "no such key");
        return blkfilter::Bytes{};
    }
    Result<void> make_usable(const std::string& filter) override {
        if (missing.contains(filter))
            return std::unexpected(Error{.code = ENOENT, .message = "its module is not installed"});
        return {};
    }
    bool has_recovered() override { return std::exchange(recovered, false); }
    std::string describe(const std::string&, const blkfilter::Bytes&) override { return {}; }
    bool keeps_history(const std::string& filter) override { return filter == "f"; }
    nlohmann::json status(const std::string&, const DeviceId&) override { return nullptr; }

    std::set<std::string> missing;
    bool recovered{};
};

/// A keeper on a simulated kernel, with files in a folder of its own.
class World {
public:
    World() : folder_{std::filesystem::temp_directory_path() / fmt::format("keeper-{}", getpid())} {
        std::filesystem::remove_all(folder_);
        std::filesystem::create_directories(folder_);
        for (int i = 0; i < 6; ++i)
            kernel.register_filter(std::string(1, static_cast<char>('a' + i)), at(100 * (i + 1)), i % 3 == 0);
    }
    World(const World&) = delete;
    World& operator=(const World&) = delete;
    ~World() { std::filesystem::remove_all(folder_); }

    void write(const std::string& devices) const {
        std::ofstream{folder_ / "filterd.yaml"} << "version: 1\n" << devices;
    }

    /// As after a kill: nothing is known but what the kernel and the state files say.
    void start(const device::Devices& devices) {
        keeper.reset();
        keeper.emplace(kernel, filters, ConfigFiles{folder_ / "filterd.yaml", folder_ / "conf.d"},
                       StateFiles{folder_ / "rules", folder_ / "rollback"},
                       [this](const Notice& notice) { told.push_back(notice); });
        keeper->begin(devices);
    }

    std::vector<blkfilter::StackEntry> entries(const DeviceId& device) const {
        return kernel.stack(device).value().entries;
    }

    std::string stack(const DeviceId& device) const {
        std::string names;
        for (const auto& entry : entries(device))
            names += entry.name;
        return names;
    }

    SimulatedEngine kernel;
    FakeFilters filters;
    std::vector<Notice> told;
    std::optional<Keeper> keeper;

private:
    std::filesystem::path folder_;
};

Facts disk(std::uint32_t minor, const std::string& serial, std::uint64_t diskseq = 1) {
    const auto name = fmt::format("sd{}", static_cast<char>('a' + minor));
    return {.id = {8, minor, diskseq}, .name = name, .links = {"/dev/" + name}, .serial = serial};
}

Facts partition(std::uint32_t minor, const std::string& partuuid) {
    return {
        .id = {8, minor, 1}, .name = fmt::format("sdz{}", minor), .partition = true, .partuuid = partuuid};
}

constexpr auto one_disk = "devices: [{name: data, match: {serial: S1}, stack: [{filter: a}, {filter: c}]}]\n";

TEST(Keeper, makes_a_device_as_declared_when_it_appears) {
    World world;
    world.write(one_disk);
    world.start({});
    const auto facts = disk(0, "S1");
    world.kernel.add_device(facts.id);
    world.keeper->appeared(facts);
    EXPECT_EQ(world.stack(facts.id), "ca");
    EXPECT_EQ(world.told.back().type, "applied");
}

TEST(Keeper, does_nothing_where_two_devices_fit_until_one_is_gone) {
    World world;
    world.write(one_disk);
    world.start({});
    for (const auto& facts : {disk(0, "S1"), disk(1, "S1")})
        world.kernel.add_device(facts.id);
    auto both = disk(0, "S1");
    world.start({{both.id, both}, {disk(1, "S1").id, disk(1, "S1")}});
    EXPECT_EQ(world.stack(both.id), "");
    EXPECT_EQ(world.keeper->meanings().at(0).state, device::Meaning::State::ambiguous);
    world.keeper->gone(disk(1, "S1").id);
    EXPECT_EQ(world.stack(both.id), "ca");
}

TEST(Keeper, takes_another_medium_for_another_device) {
    World world;
    world.write(one_disk);
    const auto old = disk(0, "S1", 1);
    world.kernel.add_device(old.id);
    world.start({{old.id, old}});
    const auto next = disk(0, "S1", 2);
    world.kernel.remove_device(old.id);
    world.kernel.add_device(next.id);
    world.keeper->appeared(next);
    EXPECT_EQ(world.keeper->devices().size(), 1) << "nobody says that the old one is gone";
    EXPECT_EQ(world.stack(next.id), "ca");
}

TEST(Keeper, keeps_what_held_when_the_new_files_are_wrong) {
    World world;
    world.write(one_disk);
    const auto facts = disk(0, "S1");
    world.kernel.add_device(facts.id);
    world.start({{facts.id, facts}});
    world.write("devices: [{name: data, match: {serial: S1}, stack: [{filter: a, colour: red}]}]\n");
    EXPECT_FALSE(world.keeper->reload());
    ASSERT_EQ(world.keeper->complaints().size(), 1);
    EXPECT_NE(world.keeper->complaints()[0].find("no such key"), std::string::npos);
    EXPECT_EQ(world.keeper->plan({}).error().code, EINVAL);
    EXPECT_EQ(world.keeper->apply({}).error().code, EINVAL);
    EXPECT_EQ(world.stack(facts.id), "ca");
    EXPECT_EQ(world.keeper->desired().wanted.at(0).size(), 2);
}

TEST(Keeper, shows_drift_and_repairs_it_when_asked) {
    World world;
    world.write(one_disk);
    const auto facts = disk(0, "S1");
    world.kernel.add_device(facts.id);
    world.start({{facts.id, facts}});
    static_cast<void>(world.kernel.set_stack(facts.id, {}, {}));
    world.keeper->stack_changed(facts.id);
    world.keeper->tick();
    EXPECT_EQ(world.stack(facts.id), "") << "somebody took them off: filterd must not fight";
    EXPECT_EQ(world.keeper->plan_of(facts.id)->steps.size(), 2);
    EXPECT_TRUE(world.keeper->apply({}));
    EXPECT_EQ(world.stack(facts.id), "ca");
}

TEST(Keeper, tries_again_what_has_failed) {
    World world;
    world.write(one_disk);
    const auto facts = disk(0, "S1");
    world.kernel.add_device(facts.id);
    int left = 3;
    world.kernel.interfere = [&](const DeviceId&) { return left > 0 ? (--left, ETIMEDOUT) : 0; };
    world.start({{facts.id, facts}});
    auto now = Keeper::Clock::now();
    world.keeper->tick(now);
    EXPECT_EQ(left, 2) << "without a pause";
    for (int i = 0; i < 3; ++i)
        world.keeper->tick(now += std::chrono::minutes{2});
    EXPECT_EQ(world.stack(facts.id), "ca");
}

TEST(Keeper, waits_for_a_module_and_for_whoever_is_in_the_way) {
    World world;
    world.write(one_disk);
    const auto facts = disk(0, "S1");
    world.kernel.add_device(facts.id);
    world.filters.missing = {"c"};
    const std::vector<EntryRequest> theirs{{.name = "a"}};
    static_cast<void>(world.kernel.set_stack(facts.id, theirs, {}));
    world.start({{facts.id, facts}});
    EXPECT_EQ(world.keeper->plan_of(facts.id)->steps.size(), 2);
    world.filters.missing.clear();
    world.keeper->filter_came();
    EXPECT_EQ(world.stack(facts.id), "ca");
    EXPECT_EQ(world.entries(facts.id)[1].owner, blkfilter::OwnerTag{}) << "theirs";
    const std::vector<EntryRequest> ours{request_of(world.entries(facts.id)[0])};
    static_cast<void>(world.kernel.set_stack(facts.id, ours, {}));
    world.keeper->stack_changed(facts.id);
    EXPECT_EQ(world.entries(facts.id).at(1).owner, declared_tag);
}

TEST(Keeper, covers_what_the_kernel_can_recognise_from_the_first_bio) {
    World world;
    world.write("devices: [{name: log, match: {partuuid: AB-01}, stack: [{filter: b}]}]\n");
    world.start({});
    EXPECT_EQ(world.keeper->covers().at(0), "from the first bio: the kernel knows it by partuuid");
    const auto facts = partition(3, "ab-01");
    world.kernel.add_device(facts.id, {.kind = blkfilter::RuleKeys::Kind::partition, .partuuid = "ab-01"});
    EXPECT_TRUE(world.entries(facts.id).at(0).provisional);
    world.keeper->appeared(facts);
    world.kernel.end_provisional();
    EXPECT_EQ(world.stack(facts.id), "b");
    // The next one takes the rule for its own.
    world.start({{facts.id, facts}});
    EXPECT_EQ(world.kernel.rules()->size(), 1);
    world.write("");
    world.keeper->reload();
    EXPECT_EQ(world.kernel.rules()->size(), 0);
}

TEST(Keeper, prunes_a_history_only_when_it_is_named) {
    World world;
    world.write("devices: [{name: data, match: {serial: S1}, stack: [{filter: a}, {filter: f}]}]\n");
    const auto facts = disk(0, "S1");
    world.kernel.add_device(facts.id);
    world.start({{facts.id, facts}});
    world.write("");
    const auto pruned = world.keeper->apply({.prune = true});
    EXPECT_TRUE(pruned->at(0).plan.is_blocked());
    EXPECT_EQ(world.stack(facts.id), "f");
    EXPECT_TRUE(world.keeper->apply({.named = {"f"}}));
    EXPECT_EQ(world.stack(facts.id), "");
}

TEST(Keeper, undoes_what_nobody_confirms_after_a_crash_too) {
    World world;
    world.write("");
    const auto facts = disk(0, "S1");
    world.kernel.add_device(facts.id);
    world.start({{facts.id, facts}});
    const std::vector<EntryRequest> theirs{{.name = "e", .options = blkfilter::to_bytes("3")}};
    static_cast<void>(world.kernel.set_stack(facts.id, theirs, {}));
    world.write(one_disk);
    EXPECT_TRUE(world.keeper->apply({.rollback_after = std::chrono::seconds{60}}));
    EXPECT_EQ(world.stack(facts.id), "eca");
    EXPECT_EQ(world.keeper->apply({}).error().code, EBUSY);
    world.write("");
    world.start({{facts.id, facts}});
    EXPECT_TRUE(world.keeper->rollback().is_pending());
    world.keeper->tick(Keeper::Clock::now() + std::chrono::seconds{30});
    EXPECT_EQ(world.stack(facts.id), "eca");
    world.keeper->tick(Keeper::Clock::now() + std::chrono::seconds{61});
    EXPECT_EQ(world.stack(facts.id), "e");
    EXPECT_EQ(world.keeper->confirm().error().code, ENOENT);

    world.write(one_disk);
    EXPECT_TRUE(world.keeper->apply({.rollback_after = std::chrono::seconds{60}}));
    EXPECT_TRUE(world.keeper->confirm());
    world.keeper->tick(Keeper::Clock::now() + std::chrono::minutes{5});
    EXPECT_EQ(world.stack(facts.id), "eca");
    EXPECT_TRUE(world.keeper->apply({.rollback_after = std::chrono::seconds{60}}));
    EXPECT_TRUE(world.keeper->roll_back());
    EXPECT_EQ(world.stack(facts.id), "eca") << "the second apply had changed nothing";
}

/// Devices, files, other programs, failures and kills at random: in the end all is as declared.
class RandomWorld {
public:
    explicit RandomWorld(std::uint32_t seed) : chance_{seed} {
        world_.kernel.interfere = [this](const DeviceId&) { return !quiet_ && one_of(4) == 0 ? EBUSY : 0; };
        declare();
        world_.start(devices_);
    }

    void run(int events) {
        for (int i = 0; i < events; ++i) {
            event();
            ASSERT_EQ(foreign_, foreign()) << "somebody else's filter was touched";
        }
        quiet_ = true;
        auto now = Keeper::Clock::now();
        world_.keeper->tick(now + std::chrono::minutes{5});
        expect_converged();
        const auto applied = world_.keeper->apply({.prune = true, .named = {"f"}});
        ASSERT_TRUE(applied);
        expect_all_as_declared(*applied);
    }

private:
    std::uint32_t one_of(std::uint32_t n) {
        return std::uniform_int_distribution<std::uint32_t>{0, n - 1}(chance_);
    }

    void declare() {
        std::string text = "devices:\n";
        const auto count = 1 + one_of(4);
        for (std::uint32_t i = 0; i < count; ++i) {
            text += fmt::format("  - {{name: d{}, match: {{serial: S{}{}}}, stack: [", i, i,
                                one_of(3) == 0 ? ", many: true" : "");
            std::string filters;
            for (char name = 'a'; name <= 'f'; ++name)
                if (one_of(3) == 0)
                    filters += fmt::format("{}{{filter: {}, level: {}}}", filters.empty() ? "" : ", ", name,
                                           one_of(3));
            text += (filters.empty() ? "{filter: a}" : filters) + "]}\n";
        }
        world_.write(text);
    }

    /// What somebody else has attached, device by device.
    std::string foreign() const {
        std::string all;
        for (const auto& [id, facts] : devices_)
            for (const auto& entry : world_.entries(id))
                if (entry.owner.is_null())
                    all += fmt::format("{}:{}@{} ", id.to_string(), entry.name, entry.instance);
        return all;
    }

    void somebody_else() {
        if (devices_.empty())
            return;
        auto device = devices_.begin();
        std::advance(device, one_of(static_cast<std::uint32_t>(devices_.size())));
        std::vector<EntryRequest> entries;
        for (const auto& entry : world_.entries(device->first))
            if (one_of(4) != 0) // takes some off, ours too
                entries.push_back(request_of(entry));
        const std::string name(1, static_cast<char>('a' + one_of(6)));
        if (one_of(2) == 0 && std::ranges::find(entries, name, &EntryRequest::name) == entries.end())
            entries.push_back({.name = name});
        static_cast<void>(world_.kernel.set_stack(device->first, entries, {}));
        foreign_ = foreign();
        world_.keeper->stack_changed(device->first);
    }

    void plug() {
        const auto facts = disk(one_of(6), fmt::format("S{}", one_of(4)), ++diskseq_);
        world_.kernel.add_device(facts.id);
        devices_.emplace(facts.id, facts);
        foreign_ = foreign();
        world_.keeper->appeared(facts);
    }

    void unplug() {
        if (devices_.empty())
            return;
        auto device = devices_.begin();
        std::advance(device, one_of(static_cast<std::uint32_t>(devices_.size())));
        const auto id = device->first;
        world_.kernel.remove_device(id);
        devices_.erase(device);
        foreign_ = foreign();
        world_.keeper->gone(id);
    }

    void event() {
        switch (one_of(8)) {
        case 0:
        case 1:
            plug();
            break;
        case 2:
            unplug();
            break;
        case 3:
            declare();
            world_.keeper->reload();
            break;
        case 4:
            world_.start(devices_); // killed, and back
            break;
        case 5:
            world_.keeper->tick(Keeper::Clock::now() + std::chrono::seconds{one_of(100)});
            break;
        default:
            somebody_else();
        }
    }

    /// Whatever filterd has settled is as declared unless somebody else has changed it since.
    void expect_converged() {
        world_.start(devices_); // which looks at everything
        for (const auto& id : world_.keeper->concerned())
            ASSERT_FALSE(world_.keeper->plan_of(id)->changes());
    }

    void expect_all_as_declared(const std::vector<Report>& reports) {
        for (const auto& report : reports) {
            ASSERT_FALSE(report.error);
            const auto declaration = world_.keeper->declaration_of(report.id);
            const auto entries = world_.entries(report.id);
            for (const auto& entry : entries) {
                if (entry.owner.is_null())
                    continue;
                ASSERT_TRUE(declaration) << entry.name << " should have been pruned";
                ++attached;
                const auto& wanted = world_.keeper->desired().wanted.at(*declaration);
                ASSERT_NE(std::ranges::find(wanted, entry.name, &Wanted::name), wanted.end());
            }
            if (!declaration)
                continue;
            for (const auto& filter : world_.keeper->desired().wanted.at(*declaration)) {
                const auto there = std::ranges::find(entries, filter.name, &blkfilter::StackEntry::name);
                const bool blocked = std::ranges::any_of(report.plan.steps, [&](const Step& step) {
                    return step.kind == Step::Kind::blocked && step.filter == filter.name;
                });
                ASSERT_TRUE(there != entries.end() || blocked) << filter.name << " is missing";
                if (!blocked) {
                    ASSERT_EQ(there->options, filter.options);
                }
            }
        }
    }

public:
    int attached{}; ///< that the test has looked at anything at all

private:
    World world_;
    std::mt19937 chance_;
    device::Devices devices_;
    std::string foreign_;
    std::uint64_t diskseq_{};
    bool quiet_{};
};

TEST(Keeper, converges_whatever_happens) {
    int attached = 0;
    for (std::uint32_t seed = 1; seed <= 400; ++seed) {
        SCOPED_TRACE(fmt::format("seed {}", seed));
        RandomWorld world{seed};
        ASSERT_NO_FATAL_FAILURE(world.run(60));
        attached += world.attached;
    }
    EXPECT_GT(attached, 1000);
}

} // namespace

} // namespace filterd
