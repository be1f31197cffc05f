// SPDX-License-Identifier: MIT
#include "commands/command_line.hpp"
#include "commands/completion.hpp"

#include <gtest/gtest.h>

namespace filterctl {

namespace {

using Words = std::vector<std::string>;

/// Names that do not change.
class FakeNames final : public Names {
public:
    Words of(Hint::Kind kind) override {
        switch (kind) {
        case Hint::Kind::device:
            return {"sda1", "data", "data"};
        case Hint::Kind::filter:
            return {"cbt-only", "acme"};
        case Hint::Kind::group:
            return {"backup"};
        case Hint::Kind::job:
            return {"7"};
        default:
            return {};
        }
    }
};

/// What can follow, with one plugin's noun there.
Words after(const Words& words) {
    CLI::App app;
    CommandLine line{.app = &app};
    Globals globals;
    add_own(line, globals);
    const auto nouns = nouns_of(Json::parse(R"({"plugins":[{"name":"cbt-only","noun":"cbt","commands":[
        {"name":"mark","device":true,"arguments":[
            {"name":"range","type":"text","required":true,"positional":true,"repeated":true},
            {"name":"format","type":"choice","choices":["ranges","nbdkit"]},
            {"name":"merge","type":"boolean"}]}]}]})"));
    for (const auto& noun : nouns)
        add_plugin_noun(line, noun);
    FakeNames names;
    return candidates(line, words, names);
}

TEST(Completion, of_nouns_and_verbs) {
    EXPECT_EQ(after({"st"}), (Words{"stack", "status"}));
    EXPECT_EQ(after({"stack", ""}), (Words{"attach", "detach", "show"}));
    EXPECT_EQ(after({"--json", "stack", "d"}), Words{"detach"});
    EXPECT_EQ(after({"--socket", "stack", "job", ""}), (Words{"list", "show", "wait"}));
    EXPECT_EQ(after({"group", "point", ""}), Words{"backup"});
    EXPECT_EQ(after({"c"}), (Words{"cbt", "confirm"}));
    EXPECT_EQ(after({}), Words{});
}

TEST(Completion, of_options) {
    EXPECT_EQ(after({"stack", "attach", "--a"}), Words{"--altitude"});
    EXPECT_EQ(after({"stack", "attach", "data", "--j"}), Words{"--json"});
    EXPECT_EQ(after({"cbt", "mark", "--m"}), Words{"--merge"});
}

TEST(Completion, of_names_by_their_place) {
    EXPECT_EQ(after({"stack", "attach", ""}), (Words{"data", "sda1"}));
    EXPECT_EQ(after({"stack", "attach", "data", ""}), (Words{"acme", "cbt-only"}));
    EXPECT_EQ(after({"stack", "attach", "data", "cbt-only", ""}), Words{});
    EXPECT_EQ(after({"stack", "attach", "--option", "x", "s"}), Words{"sda1"});
    EXPECT_EQ(after({"cbt", "mark", "d"}), Words{"data"});
    EXPECT_EQ(after({"job", "wait", ""}), Words{"7"});
}

TEST(Completion, of_values_of_options) {
    EXPECT_EQ(after({"apply", "--prune-named", ""}), (Words{"acme", "cbt-only"}));
    EXPECT_EQ(after({"cbt", "mark", "--format", ""}), (Words{"nbdkit", "ranges"}));
    EXPECT_EQ(after({"stack", "attach", "--option", ""}), Words{});
    EXPECT_EQ(after({"cbt", "mark", "--merge", "d"}), Words{"data"});
}

} // namespace

} // namespace filterctl
