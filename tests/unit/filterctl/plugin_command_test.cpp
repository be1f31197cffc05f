// SPDX-License-Identifier: MIT
#include "fake_daemon.hpp"

#include <gtest/gtest.h>

namespace filterctl {

namespace {

using test::error;
using test::FakeDaemon;
using test::methods;
using test::Ran;
using test::result;
using test::run_on;
using test::run_words;

/// A plugin with an argument of each type, and one that cannot be used.
Json some_plugins() {
    return Json::parse(R"({"plugins":[
        {"name":"cbt-only","noun":"cbt","description":"Changed blocks","state":"ready","why":null,"commands":[
            {"name":"extents","description":"What has changed","changes":false,"device":true,"arguments":[
                {"name":"since","type":"text","description":"A checkpoint","required":true,"positional":true,
                 "repeated":false},
                {"name":"limit","type":"number","description":"At most so many","required":false,
                 "positional":false,"repeated":false},
                {"name":"block-size","type":"bytes","description":"Of a block","required":false,
                 "positional":false,"repeated":false},
                {"name":"merge","type":"boolean","description":"Neighbours","required":false,
                 "positional":false,"repeated":false},
                {"name":"format","type":"choice","description":"Of the output","required":false,
                 "positional":false,"repeated":false,"choices":["ranges","nbdkit"]}]},
            {"name":"mark","description":"Mark ranges","changes":true,"device":true,"arguments":[
                {"name":"reason","type":"text","description":"Why","required":true,"positional":false,
                 "repeated":false},
                {"name":"range","type":"text","description":"From where to where","required":true,
                 "positional":true,"repeated":true}]},
            {"name":"version","description":"Of the filter","changes":false,"device":false,"arguments":[]},
            {"name":"later","description":"Of a newer daemon","changes":false,"device":false,"arguments":[
                {"name":"colour","type":"colour","description":"One","required":false,"positional":false,
                 "repeated":false}]},
            {"name":"take","description":"Of several","changes":true,"devices":true,"arguments":[
                {"name":"label","type":"text","description":"Its name","required":false,"positional":false,
                 "repeated":false}]},
            {"name":"mount","description":"Mount it","mount":true,"arguments":[
                {"name":"which","type":"text","description":"Which one","required":true,"positional":true,
                 "repeated":false}]},
            {"name":"clashes","description":"","devices":true,"arguments":[{"name":"group","type":"text"}]},
            {"name":"Not A Name","description":"","arguments":[]},
            {"name":"twice","description":"","arguments":[{"name":"a","type":"text"},{"name":"a","type":"text"}]},
            {"name":"helps","description":"","arguments":[{"name":"help","type":"text"}]}]},
        {"name":"acme-cbt","state":"failed","why":"it crashed twice"},
        {"name":"Acme_2.x","noun":"Acme_2.x","state":"ready","commands":[
            {"name":"list","description":"","arguments":[]}]},
        {"name":"quiet","noun":"quiet","state":"ready","why":null,"commands":[]},
        {"name":"clash","noun":"stack","state":"ready","commands":[{"name":"steal","description":""}]}]})");
}

FakeDaemon::Script with_command(test::Answer answer) {
    return methods({{"plugins", result(some_plugins())}, {"command", std::move(answer)}});
}

/// The parameters that these words make of a command.
Json params_of(std::vector<std::string> words) {
    Json seen;
    const FakeDaemon daemon{with_command([&](const Json& params) {
        seen = params;
        return Json{{"result", {{"records", Json::array()}}}};
    })};
    const auto ran = run_on(daemon, std::move(words));
    EXPECT_EQ(ran.code, ExitCode::done) << ran.talk;
    return seen;
}

Ran run_plugin(std::vector<std::string> words) {
    const FakeDaemon daemon{with_command(result({{"text", "done\n"}}))};
    return run_on(daemon, std::move(words));
}

/// What is said of wrong words.
std::string complaint_of(std::vector<std::string> words) {
    const auto ran = run_plugin(std::move(words));
    EXPECT_EQ(ran.code, ExitCode::usage);
    EXPECT_EQ(ran.output, "");
    return ran.talk;
}

TEST(PluginCommand, several_devices_or_a_group_are_sent) {
    EXPECT_EQ(params_of({"cbt", "take", "sda", "data", "--label", "one"}),
              (Json{{"noun", "cbt"},
                    {"command", "take"},
                    {"devices", {"sda", "data"}},
                    {"arguments", {{"label", "one"}}}}));
    EXPECT_EQ(member(params_of({"cbt", "take", "--group", "all"}), "group"), "all");
    EXPECT_NE(complaint_of({"cbt", "clashes"}), "");
}

TEST(PluginCommand, what_is_mounted_is_said_by_the_plugin) {
    const auto ran = [](const Json& records) {
        const FakeDaemon daemon{with_command(result({{"records", records}}))};
        return run_on(daemon, {"cbt", "mount", "one", "--on", "/nonexistent"});
    };
    EXPECT_NE(ran(Json::array()).talk.find("does not say what is to be mounted"), std::string::npos);
    const auto failed = ran(
        {{{"source", "/dev/none"}, {"type", "ext4"}, {"options", "ro"}, {"offset", 512}, {"size", 1024}}});
    EXPECT_EQ(failed.code, ExitCode::failed);
    EXPECT_NE(failed.talk.find(
                  "/dev/none: cannot be mounted on /nonexistent as ext4, ro,loop,offset=512,sizelimit=1024"),
              std::string::npos)
        << failed.talk;
    EXPECT_NE(complaint_of({"cbt", "mount", "one"}).find("--on"), std::string::npos);
}

TEST(PluginCommand, sends_what_was_given) {
    EXPECT_EQ(params_of({"cbt", "extents", "data", "monday"}).dump(),
              R"({"noun":"cbt","command":"extents","device":"data","arguments":{"since":"monday"}})");
    EXPECT_EQ(params_of({"cbt", "extents", "data", "monday", "--limit", "5", "--block-size", "64KiB",
                         "--merge", "--format", "nbdkit"})["arguments"]
                  .dump(),
              R"({"since":"monday","limit":"5","block-size":"64KiB","merge":true,"format":"nbdkit"})");
    EXPECT_EQ(params_of({"cbt", "version"}).dump(), R"({"noun":"cbt","command":"version","arguments":{}})");
}

TEST(PluginCommand, joins_what_is_repeated) {
    EXPECT_EQ(params_of({"cbt", "mark", "data", "1+2", "3+4", "5+6", "--reason", "a b"})["arguments"].dump(),
              R"({"reason":"a b","range":"1+2 3+4 5+6"})");
}

TEST(PluginCommand, takes_what_begins_with_a_dash_behind_two) {
    EXPECT_EQ(params_of({"cbt", "extents", "data", "--", "-x"})["arguments"].dump(), R"({"since":"-x"})");
}

TEST(PluginCommand, has_its_own_options_before_ours) {
    EXPECT_EQ(params_of({"cbt", "later", "--json", "--colour=--json"})["arguments"].dump(),
              R"({"colour":"--json"})");
}

TEST(PluginCommand, takes_a_type_that_it_does_not_know_as_text) {
    EXPECT_EQ(params_of({"cbt", "later", "--colour", "red"})["arguments"].dump(), R"({"colour":"red"})");
}

TEST(PluginCommand, says_what_is_wrong_with_an_argument) {
    EXPECT_EQ(complaint_of({"cbt", "extents", "data", "monday", "--limit", "5x"}),
              "filterctl: --limit: must be a decimal number, not '5x': see --help\n");
    EXPECT_EQ(complaint_of({"cbt", "extents", "data", "monday", "--block-size", "64K"}),
              "filterctl: --block-size: must be a number of bytes, with B, KiB, MiB, GiB or TiB behind it or "
              "nothing, not '64K': see --help\n");
    EXPECT_EQ(complaint_of({"cbt", "extents", "data", "monday", "--format", "xml"}),
              "filterctl: --format: must be one of ranges, nbdkit, not 'xml': see --help\n");
    EXPECT_EQ(complaint_of({"cbt", "extents", "data"}), "filterctl: since is required: see --help\n");
    EXPECT_EQ(complaint_of({"cbt", "extents"}), "filterctl: DEVICE is required: see --help\n");
    EXPECT_EQ(complaint_of({"cbt", "mark", "data", "1+2"}), "filterctl: --reason is required: see --help\n");
    EXPECT_EQ(complaint_of({"cbt", "extents", "data", "monday", "tuesday"}),
              "filterctl: The following argument was not expected: tuesday: see --help\n");
    EXPECT_EQ(complaint_of({"cbt", "extents", "data", "monday", "--limit"}),
              "filterctl: --limit: 1 required NUMBER missing: see --help\n");
    EXPECT_EQ(complaint_of({"cbt", "nonsense"}).substr(0, 11), "filterctl: ");
    EXPECT_EQ(complaint_of({"cbt"}), "filterctl: A subcommand is required: see --help\n");
}

TEST(PluginCommand, leaves_out_what_cannot_be_typed) {
    for (const auto* name : {"Not A Name", "twice", "helps"})
        complaint_of({"cbt", name});
}

TEST(PluginCommand, a_noun_may_be_any_name_of_a_filter) {
    EXPECT_EQ(params_of({"Acme_2.x", "list"})["noun"], "Acme_2.x");
}

TEST(PluginCommand, does_not_take_our_own_nouns) {
    complaint_of({"stack", "steal"});
}

TEST(PluginCommand, a_noun_that_cannot_be_used_says_why) {
    const auto failed = run_plugin({"acme-cbt", "list"});
    EXPECT_EQ(failed.code, ExitCode::failed);
    EXPECT_EQ(failed.talk, "filterctl: plugin 'acme-cbt' cannot be used: it crashed twice\n");
    EXPECT_EQ(complaint_of({"quiet", "list"}), "filterctl: plugin 'quiet' has no commands\n");
    EXPECT_EQ(complaint_of({"nonsense", "list"}), "filterctl: there is no noun 'nonsense': see --help\n");
}

TEST(PluginCommand, needs_a_daemon_to_be_known) {
    const auto ran = run_words({"--socket", "/nonexistent/sock", "cbt", "list"});
    EXPECT_EQ(ran.code, ExitCode::unreachable);
    EXPECT_TRUE(
        ran.talk.starts_with("filterctl: 'cbt' is no noun of filterctl itself, and plugins cannot be asked: "
                             "filterd does not run: /nonexistent/sock"))
        << ran.talk;
}

TEST(PluginCommand, is_shown_by_help) {
    const auto all = run_plugin({"--help"}).output;
    EXPECT_NE(all.find("Changed blocks"), std::string::npos) << all;
    const auto one = run_plugin({"cbt", "extents", "--help"});
    EXPECT_EQ(one.code, ExitCode::done);
    for (const auto* text : {"What has changed", "DEVICE", "since", "A checkpoint", "--limit NUMBER",
                             "--block-size BYTES", "--merge", "ranges|nbdkit"})
        EXPECT_NE(one.output.find(text), std::string::npos) << text << "\n" << one.output;
}

TEST(Help, works_without_a_daemon) {
    const auto ran = run_words({"--socket", "/nonexistent/sock", "--help"});
    EXPECT_EQ(ran.code, ExitCode::done);
    EXPECT_NE(ran.output.find("doctor"), std::string::npos);
    EXPECT_NE(ran.output.find("Nouns of plugins are not shown"), std::string::npos) << ran.output;
    EXPECT_EQ(run_words({"--socket", "/nonexistent/sock", "stack", "attach", "--help"}).code, ExitCode::done);
}

/// Answers in pages, of which the last one has no cursor.
Json page_of(const Json& params, int pages) {
    const auto& cursor = member(params, "cursor");
    const int page = cursor.is_string() ? std::stoi(cursor.get<std::string>()) : 0;
    Json answer{{"records", {{{"page", page}, {"since", member(member(params, "arguments"), "since")}}}}};
    if (page + 1 < pages)
        answer["cursor"] = std::to_string(page + 1);
    return {{"result", answer}};
}

TEST(Pages, are_asked_for_until_there_is_no_cursor) {
    const FakeDaemon daemon{with_command([](const Json& params) { return page_of(params, 3); })};
    const auto table = run_on(daemon, {"cbt", "extents", "data", "monday"});
    EXPECT_EQ(table.code, ExitCode::done);
    EXPECT_EQ(table.output, "PAGE SINCE\n   0 monday\n   1 monday\n   2 monday\n");
    EXPECT_EQ(
        Json::parse(run_on(daemon, {"--json", "cbt", "extents", "data", "monday"}).output)["records"].size(),
        3U);
}

TEST(Pages, that_break_off_leave_a_whole_document) {
    int calls = 0;
    const FakeDaemon daemon{with_command([&](const Json& params) {
        return ++calls == 2 ? error("not-found", "the checkpoint is gone")(params) : page_of(params, 3);
    })};
    const auto ran = run_on(daemon, {"--json", "cbt", "extents", "data", "monday"});
    EXPECT_EQ(ran.code, ExitCode::no_such_thing);
    EXPECT_EQ(ran.talk, "filterctl: the checkpoint is gone\n");
    const auto document = Json::parse(ran.output);
    EXPECT_EQ(document["records"].size(), 1U);
    EXPECT_EQ(document["error"]["code"], "not-found");
}

TEST(Pages, that_repeat_themselves_are_a_failure) {
    const FakeDaemon daemon{with_command(
        [](const Json&) { return Json{{"result", {{"records", Json::array()}, {"cursor", "x"}}}}; })};
    const auto ran = run_on(daemon, {"cbt", "extents", "data", "monday"});
    EXPECT_EQ(ran.code, ExitCode::failed);
    EXPECT_EQ(ran.talk, "filterctl: the plugin answers with the same page again and again\n");
}

TEST(PluginCommand, prints_text_as_it_is) {
    EXPECT_EQ(run_plugin({"cbt", "version"}).output, "done\n");
    EXPECT_EQ(run_plugin({"cbt", "version", "--json"}).output, "{\"version\":1,\"text\":\"done\\n\"}\n");
}

TEST(PluginCommand, in_part_shows_the_part) {
    const FakeDaemon daemon{
        with_command(error("partly", "not all", Json::parse(R"({"records":[{"a":1}]})")))};
    const auto ran = run_on(daemon, {"cbt", "version"});
    EXPECT_EQ(ran.code, ExitCode::partly);
    EXPECT_EQ(ran.output, "A\n1\n");
}

} // namespace

} // namespace filterctl
