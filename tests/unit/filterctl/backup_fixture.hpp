// SPDX-License-Identifier: MIT
/// @file
/// Backups of files that stand for images, with the stock tools, over a daemon that is made here.
#pragma once

#include "../../folder.hpp"
#include "backup/store.hpp"
#include "fake_daemon.hpp"

#include <fmt/format.h>
#include <fstream>
#include <gtest/gtest.h>
#include <map>
#include <set>

namespace filterctl::backup {

namespace fs = std::filesystem;
using blkfilter::test::text_in;
using test::FakeDaemon;
using test::Ran;

inline constexpr std::size_t block_bytes = 65536;
inline constexpr std::size_t blocks = 64;
inline constexpr const char* generation = "ab000000-0000-0000-0000-000000000000";

/// Devices whose images are files, and the plugin blksnap for them.
struct Snapshots {
    explicit Snapshots(fs::path in_folder) : folder{std::move(in_folder)} { add("data"); }

    void add(const std::string& device) {
        devices.emplace(device, std::set<std::size_t>{});
        write_all(device);
    }

    void write_all(const std::string& device = "data") const {
        std::ofstream file{image(device), std::ios::binary};
        for (std::size_t i = 0; i < blocks; ++i)
            file << std::string(block_bytes, i % 3 == 0 ? '\0' : static_cast<char>(device[0] + i % 20));
    }

    /// As somebody does between two snapshots.
    void write(std::size_t block, char with, const std::string& device = "data") {
        std::fstream file{image(device), std::ios::binary | std::ios::in | std::ios::out};
        file.seekp(static_cast<std::streamoff>(block * block_bytes));
        file << std::string(block_bytes, with);
        devices.at(device).insert(block);
    }

    [[nodiscard]] std::string image(const std::string& device = "data") const {
        return folder / ("image-" + device);
    }

    Json answer(const std::string& method, const Json& params) {
        if (method == "jobs")
            return {{"result", {{"jobs", jobs}}}};
        if (method == "plugins")
            return plugins();
        return without_plugin > 0 ? test::error("not-found", "no plugin that is loaded has the noun")(nullptr)
                                  : on_command(params);
    }

    /// Asked so often a filterd that was just started has its plugin.
    Json plugins() {
        auto list = Json::array();
        if (without_plugin == 0 || --without_plugin == 0)
            list.push_back({{"noun", "snapshot"}, {"state", "ready"}});
        return {{"result", {{"plugins", list}}}};
    }

    Json on_command(const Json& params) {
        const auto command = text_of(params, "command");
        if (command == refuses)
            return test::error("failed", "because")(nullptr);
        if (text_of(params, "noun") == "cbt")
            return on_checkpoint(command, text_of(params, "device"), params);
        if (command == "create")
            return create(params);
        const auto wanted = text_of(member(params, "arguments"), "snapshot");
        if (!live.contains(wanted))
            return test::error("not-found", "there is no snapshot '" + wanted + "'")(nullptr);
        if (command == "destroy") {
            live.erase(wanted);
            return records({});
        }
        if (command == "images")
            return images();
        base = text_of(member(params, "arguments"), "base");
        return changes(text_of(member(params, "arguments"), "device"), params);
    }

    /// The plugin cbt-only: a device's checkpoints are those of snapshots.
    Json on_checkpoint(const std::string& command, const std::string& device, const Json& params) {
        const auto& arguments = member(params, "arguments");
        auto& names = checkpoints[device];
        if (command == "list") {
            auto all = Json::array();
            for (const auto& name : names)
                all.push_back({{"name", name}});
            return records(all);
        }
        if (command == "extents")
            return names.contains(text_of(arguments, "checkpoint"))
                       ? changes(device, params)
                       : test::error("not-found", "no checkpoint")(nullptr);
        if (command == "delete")
            names.erase(text_of(arguments, "name"));
        else if (text_of(arguments, "point") == snapshot_id())
            names.insert(text_of(arguments, "name"));
        else
            return test::error("not-found", "no unnamed checkpoint has that id")(nullptr);
        return records({});
    }

    [[nodiscard]] std::string snapshot_id() const { return fmt::format("id-{}", number); }

    Json create(const Json& params) {
        const auto label = text_of(member(params, "arguments"), "label");
        asked_for =
            member(params, "devices").is_null() ? text_of(params, "group") : member(params, "devices").dump();
        if (!live.insert(label).second)
            return test::error("refused", "there is a snapshot '" + label + "' already")(nullptr);
        ++number;
        return records({{{"label", label}, {"id", snapshot_id()}, {"warnings", {"/data: btrfs"}}}});
    }

    [[nodiscard]] Json images() const {
        auto all = Json::array();
        for (const auto& [device, changed] : devices)
            all.push_back({{"device", device},
                           {"image", image(device)},
                           {"error", error.empty() ? Json{} : Json(error)},
                           {"base", base_now()}});
        return records(all);
    }

    [[nodiscard]] std::string base_now() const {
        return fmt::format("{}/{}/{}/{}", generation_now, number, blocks * block_bytes, block_bytes);
    }

    /// In pages of two.
    Json changes(const std::string& device, const Json& params) {
        const auto& changed = devices.at(device);
        const auto begin = member(params, "cursor").is_null() ? 0 : std::stoul(text_of(params, "cursor"));
        auto page = Json::array();
        std::size_t i = 0;
        for (const auto block : changed)
            if (i++; i > begin && i <= begin + 2)
                page.push_back({{"offset", block * block_bytes}, {"length", block_bytes}});
        auto answer = records(page);
        if (begin + 2 < changed.size())
            answer["result"]["cursor"] = std::to_string(begin + 2);
        return answer;
    }

    static Json records(const Json& list) {
        return {{"result", {{"records", list.is_null() ? Json::array() : list}}}};
    }

    fs::path folder;
    std::map<std::string, std::set<std::size_t>> devices{}; ///< with the blocks that have changed
    std::map<std::string, std::set<std::string>> checkpoints{};
    std::set<std::string> live{};
    std::string asked_for{}; ///< the group, or the list of devices
    std::string base{};
    std::string refuses{};
    std::string breaks_at{}; ///< when it has done this command, filterd ends, and comes again
    int without_plugin{};
    std::string error{};
    std::string generation_now = generation;
    unsigned number{};
    Json jobs = Json::array();
};

class Backup : public testing::Test {
protected:
    Backup() : snapshots{std::make_unique<Snapshots>(folder.path())} {
        fs::create_directory(store());
        daemon = std::make_unique<FakeDaemon>([this](test::Peer& peer) { talk(peer); });
    }

    void talk(test::Peer& peer) {
        peer.send(test::hello);
        for (auto request = peer.receive(); !request.is_null(); request = peer.receive()) {
            const auto& params = member(request, "params");
            auto message = snapshots->answer(text_of(request, "method"), params);
            if (!snapshots->breaks_at.empty() && text_of(params, "command") == snapshots->breaks_at) {
                snapshots->breaks_at.clear();
                return;
            }
            message["id"] = request["id"];
            peer.send_json(message);
        }
    }

    [[nodiscard]] std::string store() const { return folder / "store"; }

    Ran backup(std::vector<std::string> words) {
        words.insert(words.begin(), "backup");
        return test::run_on(*daemon, std::move(words));
    }

    /// Exit code, and what was said.
    void expect(int code, const std::string& text, std::vector<std::string> words) {
        const auto ran = backup(std::move(words));
        EXPECT_EQ(static_cast<int>(ran.code), code) << ran.talk;
        EXPECT_NE(ran.talk.find(text), std::string::npos) << ran.talk;
    }

    std::string restored(const char* number, const std::string& device = "data") {
        const auto target = folder / "restored";
        const auto ran = backup({"restore", store(), target, "--number", number, "--device", device});
        EXPECT_EQ(ran.code, ExitCode::done) << ran.talk;
        auto text = text_in(target);
        fs::remove(target);
        return text;
    }

    /// As if somebody has ended filterctl after half of a device was copied: its image ends there.
    void interrupt(std::vector<std::string> words, const std::string& device = "data") {
        fs::resize_file(snapshots->image(device), blocks / 2 * block_bytes);
        expect(1, "goes on from here", std::move(words));
        EXPECT_EQ(snapshots->live.size(), 1U);
    }

    [[nodiscard]] bool has_partial() const {
        for (const auto& entry : fs::directory_iterator{store()})
            if (entry.path().extension() == ".partial")
                return true;
        return false;
    }

    [[nodiscard]] bool nothing_is_left() const { return !has_partial() && snapshots->live.empty(); }

    blkfilter::test::Folder folder;
    std::unique_ptr<Snapshots> snapshots;
    std::unique_ptr<FakeDaemon> daemon;
};

} // namespace filterctl::backup
