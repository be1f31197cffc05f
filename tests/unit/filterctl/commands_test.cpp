// SPDX-License-Identifier: MIT
#include "commands/stacks.hpp"
#include "fake_daemon.hpp"

#include <gtest/gtest.h>

namespace filterctl {

namespace {

using test::error;
using test::FakeDaemon;
using test::hello;
using test::methods;
using test::Peer;
using test::Ran;
using test::result;
using test::run_on;
using test::run_words;

/// Runs against a daemon that answers one method.
Ran run_with(const std::string& method, const test::Answer& answer, std::vector<std::string> words) {
    const FakeDaemon daemon{methods({{method, answer}})};
    return run_on(daemon, std::move(words));
}

/// The parameters that these words make of one method.
Json params_of(const std::string& method, std::vector<std::string> words) {
    Json seen;
    const FakeDaemon daemon{methods({{method, [&](const Json& params) {
                                          seen = params;
                                          return Json{{"result", Json::object()}};
                                      }}})};
    EXPECT_EQ(run_on(daemon, std::move(words)).code, ExitCode::done);
    return seen;
}

Json plan_with_a_step() {
    return Json::parse(R"({"plan":[{"name":"data","device":"sda",
                           "steps":[{"kind":"attach","filter":"cbt","text":"at 1"}]}],"changed":true})");
}

Json plan_without_steps() {
    return Json::parse(R"({"plan":[{"name":"data","device":"sda","steps":[]}],"changed":false})");
}

TEST(Commands, each_error_has_its_exit_code) {
    const std::map<std::string, int> codes{{"failed", 1},  {"invalid", 2}, {"denied", 1}, {"not-found", 4},
                                           {"refused", 5}, {"timeout", 6}, {"partly", 10}};
    for (const auto& [code, exit] : codes) {
        const auto ran = run_with("apply", error(code, "because"), {"apply"});
        EXPECT_EQ(static_cast<int>(ran.code), exit) << code;
        EXPECT_EQ(ran.talk, "filterctl: because\n");
        EXPECT_EQ(ran.output, "");
    }
}

TEST(Commands, no_daemon_is_3) {
    const auto ran = run_words({"--socket", "/nonexistent/sock", "status"});
    EXPECT_EQ(ran.code, ExitCode::unreachable);
    EXPECT_EQ(ran.talk, "filterctl: filterd does not run: /nonexistent/sock: No such file or directory; "
                        "'filterctl doctor' looks into it\n");
}

TEST(Commands, say_their_version_without_a_daemon) {
    const auto ran = run_words({"--socket", "/nonexistent/sock", "--version"});
    EXPECT_EQ(ran.code, ExitCode::done);
    EXPECT_TRUE(ran.output.starts_with("filterctl ")) << ran.output;
}

TEST(Commands, a_connection_that_is_cut_is_3) {
    const FakeDaemon daemon{[](Peer& peer) {
        peer.send(hello);
        peer.receive();
        peer.send_bytes(R"({"id":1,"result":{"devices")");
    }};
    const auto ran = run_on(daemon, {"status"});
    EXPECT_EQ(ran.code, ExitCode::unreachable);
    EXPECT_EQ(ran.talk, "filterctl: filterd has closed the connection in the middle of an answer; "
                        "'filterctl doctor' looks into it\n");
}

TEST(Commands, a_slow_reply_is_6) {
    const FakeDaemon daemon{[](Peer& peer) {
        peer.send(hello);
        peer.wait_for_end();
    }};
    const auto ran = run_on(daemon, {"apply", "--timeout", "0.05"});
    EXPECT_EQ(ran.code, ExitCode::timeout);
    EXPECT_EQ(ran.talk, "filterctl: filterd has not answered in time\n");
}

TEST(Commands, wrong_usage_is_2) {
    const FakeDaemon daemon{methods({{"plugins", result({{"plugins", Json::array()}})}})};
    for (const auto& words :
         std::vector<std::vector<std::string>>{{},
                                               {"stack"},
                                               {"stack", "show"},
                                               {"stack", "show", "a", "b"},
                                               {"stack", "attach", "sda", "x", "--altitude", "0"},
                                               {"apply", "--rollback-after", "soon"},
                                               {"job", "show", "x"},
                                               {"status", "--nonsense"},
                                               {"status", "--timeout", "-1"},
                                               {"watch", "--count", "0"},
                                               {"nonsense"}}) {
        const auto ran = run_on(daemon, words);
        EXPECT_EQ(ran.code, ExitCode::usage);
        EXPECT_TRUE(ran.talk.starts_with("filterctl: ")) << ran.talk;
        EXPECT_EQ(ran.output, "");
    }
}

TEST(Commands, a_failure_is_a_json_document_too) {
    const auto ran = run_with("status", error("failed", "no kernel", {{"a", 1}}), {"--json", "status"});
    EXPECT_EQ(ran.code, ExitCode::failed);
    EXPECT_EQ(Json::parse(ran.output).dump(),
              R"({"version":1,"error":{"code":"failed","message":"no kernel","details":{"a":1}}})");
    EXPECT_EQ(ran.talk, "filterctl: no kernel\n");
}

TEST(Commands, json_has_a_version_everywhere) {
    const auto anything = result(Json::parse(R"({"plugins":[{"name":"x"}],"devices":[]})"));
    const FakeDaemon daemon{methods({{"status", anything},
                                     {"plan", anything},
                                     {"apply", anything},
                                     {"confirm", anything},
                                     {"rollback", anything},
                                     {"diff", anything},
                                     {"devices", anything},
                                     {"filters", anything},
                                     {"plugins", anything},
                                     {"plugin-reset", anything},
                                     {"jobs", anything},
                                     {"job-show", anything},
                                     {"group-point", anything},
                                     {"stack-attach", anything},
                                     {"stack-detach", anything}})};
    for (const auto& words : std::vector<std::vector<std::string>>{{"status"},
                                                                   {"plan"},
                                                                   {"apply"},
                                                                   {"confirm"},
                                                                   {"rollback"},
                                                                   {"diff"},
                                                                   {"device", "list"},
                                                                   {"filter", "list"},
                                                                   {"plugin", "list"},
                                                                   {"plugin", "show", "x"},
                                                                   {"plugin", "reset", "x"},
                                                                   {"job", "list"},
                                                                   {"job", "show", "7"},
                                                                   {"job", "wait", "7"},
                                                                   {"group", "list"},
                                                                   {"group", "point", "g"},
                                                                   {"stack", "attach", "sda", "x"},
                                                                   {"stack", "detach", "sda", "x"}}) {
        auto with_json = words;
        with_json.emplace_back("--json");
        const auto ran = run_on(daemon, with_json);
        EXPECT_EQ(ran.code, ExitCode::done) << words[0];
        ASSERT_TRUE(Json::accept(ran.output)) << words[0] << ran.output;
        EXPECT_EQ(Json::parse(ran.output)["version"], 1) << words[0];
    }
}

TEST(Commands, a_reply_of_another_shape_is_no_crash) {
    const auto odd =
        result(Json::parse(R"({"devices":[1,{"name":"x","present":[1]}],"others":[null],"jobs":[1],
                                            "plugins":[1,{"name":1,"commands":[1,{}]}],"filters":{}})"));
    const FakeDaemon daemon{methods({{"status", odd},
                                     {"devices", odd},
                                     {"filters", odd},
                                     {"plugins", odd},
                                     {"jobs", odd},
                                     {"job-show", result(5)}})};
    for (const auto& words : std::vector<std::vector<std::string>>{{"status"},
                                                                   {"device", "list"},
                                                                   {"filter", "list"},
                                                                   {"plugin", "list"},
                                                                   {"job", "list"},
                                                                   {"job", "wait", "7"},
                                                                   {"--help"}})
        EXPECT_EQ(run_on(daemon, words).code, ExitCode::done) << words[0];
    EXPECT_EQ(run_on(daemon, {"stack", "show", "x"}).code, ExitCode::no_such_thing);
}

TEST(Plan, tells_by_its_exit_code_only_when_asked) {
    EXPECT_EQ(run_with("plan", result(plan_with_a_step()), {"plan"}).code, ExitCode::done);
    EXPECT_EQ(run_with("plan", result(plan_with_a_step()), {"plan", "--detailed-exitcode"}).code,
              ExitCode::pending);
    EXPECT_EQ(run_with("plan", result(plan_without_steps()), {"plan", "--detailed-exitcode"}).code,
              ExitCode::done);
}

TEST(Plan, is_printed_and_that_there_is_none_is_said) {
    const auto some = run_with("plan", result(plan_with_a_step()), {"plan"});
    EXPECT_EQ(some.output, "data (sda)\n  attach cbt: at 1\n");
    EXPECT_EQ(some.talk, "");
    const auto none = run_with("plan", result(plan_without_steps()), {"plan"});
    EXPECT_EQ(none.output, "");
    EXPECT_EQ(none.talk, "nothing to do: all devices that are there are as the files say\n");
}

TEST(Apply, sends_what_was_given) {
    EXPECT_EQ(params_of("apply", {"apply"}).dump(), R"({"prune":false})");
    EXPECT_EQ(params_of("apply", {"apply", "--prune"}).dump(), R"({"prune":true})");
    EXPECT_EQ(params_of("apply", {"apply", "--prune-named", "a", "b", "--rollback-after", "5m"}).dump(),
              R"({"prune":true,"named":["a","b"],"rollback_after_seconds":300})");
    EXPECT_EQ(params_of("apply", {"reload"}).dump(), R"({"prune":false})");
    EXPECT_EQ(params_of("plan", {"plan", "--prune"}).dump(), R"({"prune":true})");
}

TEST(Apply, says_what_it_did) {
    const auto changed = run_with("apply", result(plan_with_a_step()), {"apply", "--rollback-after", "60s"});
    EXPECT_EQ(changed.output, "data (sda)\n  attach cbt: at 1\n");
    EXPECT_EQ(changed.talk, "undone in 60 s unless you say: filterctl confirm\n");
    const auto same = run_with("apply", result(plan_without_steps()), {"apply", "--rollback-after", "60s"});
    EXPECT_EQ(same.code, ExitCode::done);
    EXPECT_EQ(same.talk, "nothing was to be done\n");
}

TEST(Apply, in_part_shows_the_part) {
    const auto ran = run_with("apply", error("partly", "1 of 2 devices", plan_with_a_step()), {"apply"});
    EXPECT_EQ(ran.code, ExitCode::partly);
    EXPECT_EQ(ran.output, "data (sda)\n  attach cbt: at 1\n");
    EXPECT_EQ(ran.talk, "filterctl: 1 of 2 devices\n");
}

TEST(Stack, attach_and_detach_send_what_was_given) {
    EXPECT_EQ(params_of("stack-attach", {"stack", "attach", "data", "cbt"}).dump(),
              R"({"device":"data","filter":"cbt"})");
    EXPECT_EQ(params_of("stack-attach",
                        {"stack", "attach", "data", "cbt", "--altitude", "1.5", "--option", "a=[1]"})
                  .dump(),
              R"({"device":"data","filter":"cbt","altitude":"1.5","options":"a=[1]"})");
    EXPECT_EQ(params_of("stack-detach", {"stack", "detach", "/dev/sda", "cbt", "--force"}).dump(),
              R"({"device":"/dev/sda","filter":"cbt","force":true})");
}

TEST(Stack, a_device_may_be_called_as_a_command) {
    EXPECT_EQ(params_of("stack-attach", {"stack", "attach", "status", "show"}).dump(),
              R"({"device":"status","filter":"show"})");
}

FakeDaemon::Script stacks() {
    return methods({{"status", result(Json::parse(R"({
        "devices": [
            {"name":"data","state":"in sync","why":null,"coverage":"from the first bio","present":[
                {"device":"sda1","number":"4095:1","steps":[],"stack":[
                    {"filter":"cbt","altitude":"1","ownership":"declared","options":"o","state":"on",
                     "from_first_bio":true,"status":{"blocks":3},"read":1,"write":2}]}]},
            {"name":"many","state":"in sync","present":[
                {"device":"sdb","number":"4095:2","stack":[]},{"device":"sdc","number":"4095:3","stack":[]}]},
            {"name":"log","state":"pending","why":"no disk has this serial","present":[]}],
        "others": [{"device":"sdd","number":"4095:4","stack":[]}]})"))},
                    {"devices", result(Json::parse(R"({"devices":[{"device":"sde","number":"4095:5"}]})"))}});
}

TEST(Stack, is_shown_by_declared_and_by_kernel_name) {
    const FakeDaemon daemon{stacks()};
    const auto text = "data (sda1, 4095:1): in sync; from the first bio\n"
                      "FILTER ALTITUDE OWNERSHIP STATE FROM-FIRST-BIO READ WRITE OPTIONS\n"
                      "cbt    1        declared  on    yes               1     2 o\n"
                      "cbt: blocks: 3\n";
    EXPECT_EQ(run_on(daemon, {"stack", "show", "data"}).output, text);
    EXPECT_EQ(run_on(daemon, {"stack", "show", "sda1"}).output, text);
    EXPECT_EQ(run_on(daemon, {"stack", "show", "sdd"}).output, "sdd, 4095:4\n");
}

TEST(Stack, is_found_by_the_number_behind_a_path) {
    const auto status = Json::parse(R"({"others":[{"device":"sda","number":"4095:1","stack":[]},
                                                  {"device":"sdb","number":"","stack":[]}]})");
    DeviceName device{"/dev/disk/by-id/nothing"};
    EXPECT_EQ(device.number, "");
    EXPECT_TRUE(stacks_of(status, device).empty());
    device.number = "4095:1";
    ASSERT_EQ(stacks_of(status, device).size(), 1U);
    EXPECT_EQ(stacks_of(status, device)[0]["device"], "sda");
}

TEST(Stack, of_several_devices_is_shown_for_each) {
    const FakeDaemon daemon{stacks()};
    EXPECT_EQ(run_on(daemon, {"stack", "show", "many"}).output,
              "many (sdb, 4095:2): in sync\n\nmany (sdc, 4095:3): in sync\n");
    const auto document = Json::parse(run_on(daemon, {"--json", "stack", "show", "many"}).output);
    EXPECT_EQ(document["stacks"].size(), 2U);
    EXPECT_EQ(document["stacks"][1]["device"], "sdc");
    EXPECT_EQ(document["stacks"][1]["name"], "many");
}

TEST(Stack, that_is_not_there_is_said_why) {
    const FakeDaemon daemon{stacks()};
    const auto pending = run_on(daemon, {"stack", "show", "log"});
    EXPECT_EQ(pending.code, ExitCode::no_such_thing);
    EXPECT_EQ(pending.talk, "filterctl: 'log' is declared, but pending: no disk has this serial\n");
    const auto empty = run_on(daemon, {"stack", "show", "sde"});
    EXPECT_EQ(empty.code, ExitCode::done);
    EXPECT_EQ(empty.output, "");
    EXPECT_EQ(empty.talk, "sde has no filters\n");
    const auto unknown = run_on(daemon, {"stack", "show", "sdz"});
    EXPECT_EQ(unknown.code, ExitCode::no_such_thing);
    EXPECT_EQ(unknown.talk, "filterctl: there is no device 'sdz'\n");
}

TEST(Lists, are_tables) {
    EXPECT_EQ(run_with("devices",
                       result(Json::parse(R"({"devices":[{"device":"sda","number":"8:0","links":["/dev/x"],
                                              "declared":["a","b"],"why":null}]})")),
                       {"device", "list"})
                  .output,
              "DEVICE NUMBER DECLARED WHY\nsda    8:0    a,b        -\n");
    EXPECT_EQ(run_with("devices",
                       result(Json::parse(R"({"devices":[{"device":"sda","links":["/dev/x","/dev/y"]}]})")),
                       {"device", "list", "--links"})
                  .output,
              "sda /dev/x\nsda /dev/y\n");
    EXPECT_EQ(
        run_with("filters",
                 result(Json::parse(R"({"filters":[{"name":"cbt","module":"m","altitude":"1","devices":2,
                                              "needs_points":true}]})")),
                 {"filter", "list"})
            .output,
        "NAME ALTITUDE MODULE DEVICES NEEDS-POINTS\ncbt  1        m            2 yes\n");
    EXPECT_EQ(
        run_with("jobs",
                 result(Json::parse(R"({"jobs":[{"job":7,"what":"apply","state":"running","thousandths":125,
                                              "text":"sdb","started":"noon","ended":null}]})")),
                 {"job", "list"})
            .output,
        "JOB WHAT  STATE   DONE   TEXT STARTED ENDED\n  7 apply running 12.5 % sdb  noon        -\n");
}

TEST(Plugin, is_shown_with_its_commands) {
    const auto answer = result(Json::parse(R"({"plugins":[{"state":"ready","noun":"cbt","name":"cbt-only",
        "why":null,"other":"","more":1,"commands":[{"name":"list","description":"All"}]}]})"));
    EXPECT_EQ(run_with("plugins", answer, {"plugin", "show", "cbt-only"}).output,
              "name: cbt-only\nnoun: cbt\nstate: ready\nmore: 1\ncommand: filterctl cbt list: All\n");
    const auto missing = run_with("plugins", answer, {"plugin", "show", "x"});
    EXPECT_EQ(missing.code, ExitCode::no_such_thing);
    EXPECT_EQ(missing.talk, "filterctl: there is no plugin 'x'\n");
}

TEST(Job, is_shown_as_people_read_it) {
    EXPECT_EQ(run_with("job-show",
                       result(Json::parse(R"({"job":7,"what":"apply","state":"failed","text":"sdb",
                           "thousandths":500,"error":{"code":"refused","message":"busy"}})")),
                       {"job", "show", "7"})
                  .output,
              "job: 7\nwhat: apply\nstate: failed\ndone: 50.0 %\ntext: busy\n");
    auto job = Json::parse(R"({"job":8,"state":"done","thousandths":1000})");
    job["result"] = plan_with_a_step();
    EXPECT_EQ(run_with("job-show", result(job), {"job", "show", "8"}).output,
              "job: 8\nstate: done\ndone: 100.0 %\ndata (sda)\n  attach cbt: at 1\n");
}

TEST(Job, wait_ends_as_the_job_has_ended) {
    EXPECT_EQ(params_of("job-show", {"job", "wait", "7"}).dump(), R"({"job":7,"wait":true})");
    EXPECT_EQ(params_of("job-show", {"job", "show", "7"}).dump(), R"({"job":7})");
    const auto refused = run_with(
        "job-show",
        result(Json::parse(R"({"job":7,"state":"failed","error":{"code":"refused","message":"busy"}})")),
        {"job", "wait", "7"});
    EXPECT_EQ(refused.code, ExitCode::refused);
    EXPECT_TRUE(refused.output.starts_with("job: 7\nstate: failed\n")) << refused.output;
    EXPECT_EQ(run_with("job-show", result({{"state", "failed"}}), {"job", "wait", "7"}).code,
              ExitCode::failed);
    EXPECT_EQ(run_with("job-show", result({{"state", "failed"}}), {"job", "show", "7"}).code, ExitCode::done);
}

TEST(Group, list_shows_what_is_declared) {
    EXPECT_EQ(run_with("status",
                       result(Json::parse(R"({"groups":[{"name":"db","devices":["data","log"]}]})")),
                       {"group", "list"})
                  .output,
              "NAME DEVICES\ndb   data,log\n");
}

TEST(Group, a_point_is_a_line) {
    EXPECT_EQ(params_of("group-point", {"group", "point", "db"}).dump(), R"({"group":"db"})");
    EXPECT_EQ(run_with("group-point",
                       result({{"point", "id"}, {"closed_ns", 1234567}, {"frozen_ns", 2000000}}),
                       {"group", "point", "db"})
                  .output,
              "point id closed 1.235 ms frozen 2.000 ms\n");
}

/// Sends three events, and then nothing.
void three_events(Peer& peer) {
    peer.send(hello);
    const auto id = peer.receive()["id"];
    for (int i = 0; i < 3; ++i)
        peer.send_json(
            Json{{"id", id}, {"event", {{"time", std::to_string(i)}, {"type", "attached"}, {"text", "x"}}}});
    peer.wait_for_end();
}

TEST(Watch, prints_events_as_lines) {
    const FakeDaemon daemon{three_events};
    const auto ran = run_on(daemon, {"watch", "--count", "2"});
    EXPECT_EQ(ran.code, ExitCode::done);
    EXPECT_EQ(ran.output, "0 attached: x\n1 attached: x\n");
    EXPECT_EQ(run_on(daemon, {"--json", "watch", "--count", "1"}).output,
              "{\"version\":1,\"time\":\"0\",\"type\":\"attached\",\"text\":\"x\"}\n");
}

TEST(Watch, that_ends_in_time_fails_only_when_events_are_missing) {
    const FakeDaemon daemon{three_events};
    EXPECT_EQ(run_on(daemon, {"watch", "--timeout", "0.05"}).code, ExitCode::done);
    const auto ran = run_on(daemon, {"watch", "--timeout", "2", "--count", "9"});
    EXPECT_EQ(ran.code, ExitCode::timeout);
    EXPECT_EQ(ran.talk, "filterctl: 3 of 9 events came in time\n");
}

TEST(Watch, a_daemon_that_ends_is_3) {
    const FakeDaemon daemon{[](Peer& peer) {
        peer.send(hello);
        peer.receive();
    }};
    EXPECT_EQ(run_on(daemon, {"watch"}).code, ExitCode::unreachable);
}

TEST(Progress, of_a_command_is_talk) {
    const FakeDaemon daemon{[](Peer& peer) {
        peer.send(hello);
        const auto id = peer.receive()["id"];
        std::this_thread::sleep_for(std::chrono::milliseconds{1050});
        peer.send_json(Json{{"id", id}, {"progress", {{"job", 7}, {"thousandths", 500}, {"text", "sdb"}}}});
        peer.send_json(Json{{"id", id}, {"result", plan_with_a_step()}});
        peer.wait_for_end();
    }};
    const auto ran = run_on(daemon, {"apply"});
    EXPECT_EQ(ran.talk, "job 7: 50.0 % sdb\n");
    EXPECT_EQ(ran.output, "data (sda)\n  attach cbt: at 1\n");
}

} // namespace

} // namespace filterctl
