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
        if (hung.contains(filter.name))
            return {};
        for (const auto& [key, value] : filter.options)
            if (key.yaml().Scalar() == "level")
                return blkfilter::to_bytes(value.yaml().Scalar());
            else
                diagnostics.error(key.position(), "no such key");
        return blkfilter::Bytes{};
    }
    Result<void> make_usable(const std::string& filter) override {
        if (missing.contains(filter) || hung.contains(filter))
            return std::unexpected(Error{.code = ENOENT, .message = "its module is not installed"});
        return {};
    }
    bool has_recovered() override { return std::exchange(recovered, false); }
    std::string describe(const std::string&, const blkfilter::Bytes&) override { return {}; }
    bool keeps_history(const std::string& filter) override { return filter == "f"; }
    void attached(const std::string& filter, const DeviceId& device,
                  const std::map<std::string, std::string>& keys) override {
        std::string text = filter + " on " + device.number();
        for (const auto& [key, value] : keys)
            text += fmt::format(" {}={}", key, value);
        told.push_back(text);
    }
    nlohmann::json status(const std::string&, const DeviceId&) override { return nullptr; }

    std::vector<std::string> told; ///< their plugins
    std::set<std::string> missing;
    std::set<std::string> hung; ///< their plugins
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

    Facts add(const Facts& device) {
        kernel.add_device(device.id);
        return device;
    }

    /// As after a kill: nothing is known but what the kernel and the state files say.
    void start(const device::Devices& devices) {
        keeper.reset();
        keeper.emplace(kernel, filters, ConfigFiles{folder_ / "filterd.yaml", folder_ / "conf.d"},
                       StateFiles{folder_ / "rules", folder_ / "rollback"},
                       [this](const Notice& notice) { told.push_back(notice); });
        keeper->begin(devices);
        keeper->read_files();
        keeper->attend_all();
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

    const std::filesystem::path& folder() const { return folder_; }

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
    const auto facts = world.add(disk(0, "S1"));
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

TEST(Keeper, tells_plugins_what_has_their_filters) {
    World world;
    world.write(
        "devices: [{name: data, match: {serial: S1}, stack: [{filter: a, level: 3}, {filter: c}]}]\n");
    const auto facts = world.add(disk(0, "S1"));
    const std::vector<EntryRequest> theirs{{.name = "c"}};
    std::ignore = world.kernel.set_stack(facts.id, theirs, {});
    world.start({{facts.id, facts}});
    EXPECT_EQ(world.filters.told, std::vector<std::string>{"a on 8:0 level=3"}) << "c is somebody else's";
    std::ignore = world.keeper->plan({});
    EXPECT_EQ(world.filters.told.size(), 1U) << "a plan does nothing";
    std::ignore = world.kernel.set_stack(facts.id, {}, {});
    EXPECT_TRUE(world.keeper->apply({}));
    EXPECT_EQ(world.filters.told,
              (std::vector<std::string>{"a on 8:0 level=3", "a on 8:0 level=3", "c on 8:0"}));
}

TEST(Keeper, takes_another_medium_for_another_device) {
    World world;
    world.write(one_disk);
    const auto old = world.add(disk(0, "S1", 1));
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
    const auto facts = world.add(disk(0, "S1"));
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
    const auto facts = world.add(disk(0, "S1"));
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
    const auto facts = world.add(disk(0, "S1"));
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
    const auto facts = world.add(disk(0, "S1"));
    world.filters.missing = {"c"};
    const std::vector<EntryRequest> theirs{{.name = "a"}};
    static_cast<void>(world.kernel.set_stack(facts.id, theirs, {}));
    world.start({{facts.id, facts}});
    EXPECT_EQ(world.keeper->plan_of(facts.id)->steps.size(), 2);
    world.filters.missing.clear();
    world.keeper->look_again();
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

TEST(Keeper, knows_its_rules_after_a_kill_while_it_made_them) {
    struct Killed {};
    World world;
    const auto declare = [&](int level) {
        std::string text = "devices:\n";
        for (int i = 0; i < 4; ++i)
            text += fmt::format("  - {{name: p{}, match: {{partuuid: AB-{}}}, "
                                "stack: [{{filter: b, level: {}}}]}}\n",
                                i, i, level);
        world.write(text);
    };
    declare(1);
    world.start({});
    for (int kill_after = 1; kill_after <= 5; ++kill_after) {
        declare(kill_after + 1);
        int left = kill_after;
        world.kernel.rule_changed = [&] {
            if (--left == 0)
                throw Killed{};
        };
        EXPECT_THROW(world.keeper->reload(), Killed);
        world.kernel.rule_changed = {};
        world.start({});
        EXPECT_EQ(world.kernel.rules()->size(), 4) << "killed after " << kill_after;
        const auto facts = partition(3, "ab-2");
        world.kernel.add_device(facts.id, {.kind = blkfilter::RuleKeys::Kind::partition, .partuuid = "ab-2"});
        EXPECT_EQ(world.entries(facts.id).at(0).options, blkfilter::to_bytes(std::to_string(kill_after + 1)));
    }
    world.write("");
    world.keeper->reload();
    EXPECT_EQ(world.kernel.rules()->size(), 0);
}

TEST(Keeper, prunes_a_history_only_when_it_is_named) {
    World world;
    world.write("devices: [{name: data, match: {serial: S1}, stack: [{filter: a}, {filter: f}]}]\n");
    const auto facts = world.add(disk(0, "S1"));
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
    const auto facts = world.add(disk(0, "S1"));
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

TEST(Keeper, undoes_together_what_was_changed_one_after_the_other) {
    World world;
    world.write("");
    const auto facts = world.add(disk(0, "S1"));
    world.start({{facts.id, facts}});
    world.write(one_disk);
    EXPECT_TRUE(world.keeper->apply({.rollback_after = std::chrono::seconds{60}}));
    world.write("devices: [{name: data, match: {serial: S1}, stack: [{filter: b}]}]\n");
    world.keeper->reload();
    EXPECT_EQ(world.stack(facts.id), "cba");
    world.keeper->reload(); // changes nothing
    world.start({{facts.id, facts}});
    EXPECT_TRUE(world.keeper->roll_back());
    EXPECT_EQ(world.stack(facts.id), "");

    // What somebody else has done in between stays, and what was done before that.
    world.write(one_disk);
    EXPECT_TRUE(world.keeper->apply({.rollback_after = std::chrono::seconds{60}}));
    auto entries = std::vector<EntryRequest>{{.name = "e"}};
    for (const auto& entry : world.entries(facts.id))
        entries.push_back(request_of(entry));
    EXPECT_TRUE(world.kernel.set_stack(facts.id, entries, {}));
    world.write("devices: [{name: data, match: {serial: S1}, stack: [{filter: b}]}]\n");
    world.keeper->reload();
    EXPECT_EQ(world.stack(facts.id), "ecba");
    EXPECT_TRUE(world.keeper->roll_back());
    EXPECT_EQ(world.stack(facts.id), "eca");
    EXPECT_NE(world.told.back().text.find("somebody has changed"), std::string::npos);
}

TEST(Keeper, does_not_do_again_what_was_rolled_back) {
    World world;
    world.write("");
    const auto blocked = disk(0, "S1");
    const auto failing = disk(1, "S2");
    for (const auto& facts : {blocked, failing})
        world.kernel.add_device(facts.id);
    world.start({{blocked.id, blocked}, {failing.id, failing}});
    world.filters.missing = {"c"};
    int error = EBUSY;
    world.kernel.interfere = [&](const DeviceId& device) { return device == failing.id ? error : 0; };
    world.write("devices:\n"
                "  - {name: data, match: {serial: S1}, stack: [{filter: a}, {filter: c}]}\n"
                "  - {name: log, match: {serial: S2}, stack: [{filter: b}]}\n"
                "  - {name: late, match: {serial: S3}, stack: [{filter: d}]}\n");
    EXPECT_TRUE(world.keeper->apply({.rollback_after = std::chrono::seconds{60}}));
    EXPECT_EQ(world.stack(blocked.id), "a");
    auto now = Keeper::Clock::now() + std::chrono::seconds{61};
    world.keeper->tick(now);
    EXPECT_EQ(world.stack(blocked.id), "");
    error = 0;
    world.filters.missing.clear();
    world.keeper->stack_changed(blocked.id); // as the kernel says of what was undone
    world.keeper->look_again();
    world.keeper->tick(now + std::chrono::minutes{5});
    EXPECT_EQ(world.stack(blocked.id), "");
    EXPECT_EQ(world.stack(failing.id), "");
    const auto late = world.add(disk(2, "S3"));
    world.start({{blocked.id, blocked}, {failing.id, failing}, {late.id, late}}); // nobody has asked for it
    EXPECT_EQ(world.stack(blocked.id), "");
    EXPECT_EQ(world.stack(failing.id), "");
    EXPECT_EQ(world.stack(late.id), "d") << "what was not there before is as declared";
    EXPECT_TRUE(world.keeper->reload());
    EXPECT_EQ(world.stack(blocked.id), "ca");
    EXPECT_EQ(world.stack(failing.id), "b");
}

TEST(Keeper, asks_a_plugin_that_answers_again_for_what_holds) {
    World world;
    world.write(one_disk);
    const auto facts = world.add(disk(0, "S1"));
    world.filters.hung = {"c"};
    world.start({{facts.id, facts}});
    EXPECT_EQ(world.stack(facts.id), "a");
    // Somebody has begun to edit the files, and has not asked for them to be read.
    world.write("devices: [{name: data, match: {serial: S1}, stack: [{filter: b}]}]\n");
    world.filters.hung.clear();
    world.filters.recovered = true;
    world.keeper->tick();
    EXPECT_EQ(world.stack(facts.id), "ca");
}

constexpr auto one_partition = "devices: [{name: log, match: {partuuid: AB-01}, stack: [{filter: b}]}]\n";

TEST(Keeper, makes_a_rule_again_that_somebody_has_removed) {
    World world;
    world.write(one_partition);
    world.start({});
    ASSERT_EQ(world.kernel.rules()->size(), 1);
    EXPECT_TRUE(world.kernel.remove_rule(world.kernel.rules()->at(0).id));
    world.keeper->reload();
    EXPECT_EQ(world.kernel.rules()->size(), 1);
    world.start({});
    EXPECT_EQ(world.kernel.rules()->size(), 1);
}

TEST(Keeper, goes_on_without_rules_that_it_cannot_note) {
    World world;
    world.write(one_partition);
    world.start({});
    std::filesystem::create_directories(world.folder() / "rules.new" / "in the way");
    world.write("devices:\n"
                "  - {name: log, match: {partuuid: AB-01}, stack: [{filter: b}]}\n"
                "  - {name: data, match: {partuuid: AB-02}, stack: [{filter: b}]}\n");
    EXPECT_TRUE(world.keeper->reload());
    EXPECT_EQ(world.kernel.rules()->size(), 1);
    EXPECT_NE(world.keeper->covers().at(0).find("from the first bio"), std::string::npos);
    EXPECT_NE(world.keeper->covers().at(1).find("cannot be written"), std::string::npos);
    const auto facts = partition(3, "ab-02");
    world.kernel.add_device(facts.id, {.kind = blkfilter::RuleKeys::Kind::partition, .partuuid = "ab-02"});
    world.keeper->appeared(facts);
    EXPECT_EQ(world.stack(facts.id), "b");
}

/// Devices, files, other programs, failures and kills at random: in the end all is as declared.
class RandomWorld {
public:
    explicit RandomWorld(std::uint32_t seed) : chance_{seed} {
        world_.kernel.interfere = [this](const DeviceId&) { return is_disturbed(4) ? EBUSY : 0; };
        world_.kernel.rule_changed = world_.kernel.stack_set = [this] {
            if (is_disturbed(12))
                throw Killed{};
        };
        declare();
        start();
    }

    void run(int events) {
        for (int i = 0; i < events; ++i) {
            try {
                event();
            } catch (const Killed&) {
                start();
            }
            ASSERT_EQ(foreign_, foreign()) << "somebody else's filter was touched";
        }
        quiet_ = true;
        std::ignore = world_.keeper->confirm();
        world_.keeper->tick(Keeper::Clock::now() + std::chrono::minutes{5});
        world_.kernel.end_provisional();
        expect_all_attended();
        expect_converged();
        const auto applied = world_.keeper->apply({.prune = true, .named = {"f"}});
        ASSERT_TRUE(applied);
        expect_all_as_declared(*applied);
    }

private:
    struct Killed {};

    std::uint32_t one_of(std::uint32_t n) {
        return std::uniform_int_distribution<std::uint32_t>{0, n - 1}(chance_);
    }

    /// For once in @p n times, unless it is somebody else who is at it.
    bool is_disturbed(std::uint32_t n) { return !quiet_ && one_of(n) == 0; }

    /// Killed, and back: now and then only after some tries.
    void start() {
        if (!undone_)
            touched_.clear();
        for (bool started = false; !started;)
            try {
                world_.start(devices_);
                started = true;
            } catch (const Killed&) {
            }
    }

    void declare(bool well = false) {
        std::string text = "devices:\n";
        const auto count = 1 + one_of(4);
        for (std::uint32_t i = 0; i < count; ++i) {
            text +=
                fmt::format("  - {{name: d{}, match: {{{}{}}}, stack: [", i,
                            one_of(2) == 0 ? fmt::format("serial: S{}", i) : fmt::format("wwn: \"0x{}\"", i),
                            one_of(3) == 0 ? ", many: true" : "");
            std::string filters;
            for (char name = 'a'; name <= 'f'; ++name)
                if (one_of(3) == 0)
                    filters += fmt::format("{}{{filter: {}, level: {}}}", filters.empty() ? "" : ", ", name,
                                           one_of(3));
            text += (filters.empty() ? "{filter: a}" : filters) + "]}\n";
        }
        if (!well && one_of(6) == 0)
            text += "wrong\n";
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
        const auto id = any_device();
        std::vector<EntryRequest> entries;
        for (const auto& entry : world_.entries(id))
            if (one_of(4) != 0) // takes some off, ours too
                entries.push_back(request_of(entry));
        const std::string name(1, static_cast<char>('a' + one_of(6)));
        if (one_of(2) == 0 && std::ranges::find(entries, name, &EntryRequest::name) == entries.end())
            entries.push_back({.name = name});
        quiet_ = true;
        static_cast<void>(world_.kernel.set_stack(id, entries, {}));
        quiet_ = false;
        foreign_ = foreign();
        touched_.insert(id);
        if (one_of(4) != 0)
            world_.keeper->stack_changed(id);
        else
            world_.keeper->look_again(); // too many events: that one was lost
    }

    DeviceId any_device() {
        auto device = devices_.begin();
        std::advance(device, one_of(static_cast<std::uint32_t>(devices_.size())));
        return device->first;
    }

    /// It may be that which was there before, as a partition of a table that is read again.
    void plug() {
        const auto minor = one_of(6);
        const auto which = one_of(4);
        auto facts = disk(minor, fmt::format("S{}", which), one_of(3) == 0 ? 1 : ++diskseq_);
        facts.wwn = fmt::format("0x{}", which);
        for (const auto& [known, about] : device::Devices{devices_})
            if (known.minor == minor)
                remove(known, known == facts.id || one_of(2) == 0);
        world_.kernel.add_device(facts.id,
                                 {.kind = blkfilter::RuleKeys::Kind::disk, .wwid = facts.wwn->substr(2)});
        devices_.emplace(facts.id, facts);
        foreign_ = foreign();
        touched_.erase(facts.id);
        world_.keeper->appeared(facts);
    }

    /// Of another medium in the same drive nobody says that the old one is gone.
    void remove(const DeviceId& id, bool is_said) {
        world_.kernel.remove_device(id);
        devices_.erase(id);
        foreign_ = foreign();
        if (is_said)
            world_.keeper->gone(id);
    }

    void asked() {
        touched_.clear();
        undone_ = false;
    }

    /// What was undone is drift from then on, until somebody asks.
    void tick() {
        const auto now = Keeper::Clock::now() + std::chrono::seconds{one_of(100)};
        if (const auto left = world_.keeper->rollback().left(now); left && left->count() == 0) {
            undone_ = true;
            for (const auto& [id, facts] : devices_)
                touched_.insert(id);
        }
        world_.keeper->tick(now);
    }

    void event() {
        switch (one_of(10)) {
        case 0:
        case 1:
            plug();
            break;
        case 2:
            if (!devices_.empty())
                remove(any_device(), true);
            break;
        case 3:
            declare();
            if (world_.keeper->reload())
                asked();
            break;
        case 4:
            start();
            break;
        case 5:
            tick();
            break;
        case 6:
            if (world_.keeper->apply({.rollback_after = std::chrono::seconds{60}}))
                asked();
            break;
        case 7:
            std::ignore = world_.keeper->plan({});
            break;
        default:
            somebody_else();
        }
    }

    /// Without that filterd is started anew or asked: whatever nobody else has changed since.
    void expect_all_attended() {
        for (const auto& id : world_.keeper->concerned())
            if (world_.keeper->declaration_of(id) && !touched_.contains(id)) {
                ASSERT_FALSE(world_.keeper->plan_of(id)->changes()) << id.to_string();
            }
    }

    /// When somebody asks.
    void expect_converged() {
        declare(true);
        ASSERT_TRUE(world_.keeper->reload());
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
    std::set<DeviceId> touched_; ///< since filterd has made them as declared
    std::string foreign_;
    std::uint64_t diskseq_{};
    bool quiet_{};
    bool undone_{};
};

TEST(Keeper, converges_whatever_happens) {
    int attached = 0;
    for (std::uint32_t seed = 1; seed <= 250; ++seed) {
        SCOPED_TRACE(fmt::format("seed {}", seed));
        RandomWorld world{seed};
        ASSERT_NO_FATAL_FAILURE(world.run(60));
        attached += world.attached;
    }
    EXPECT_GT(attached, 400);
}

} // namespace

} // namespace filterd
