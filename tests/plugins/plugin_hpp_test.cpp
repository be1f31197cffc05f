// SPDX-License-Identifier: MIT
/// What <filterd/plugin.hpp> makes of a class.
#include "fake_host.hpp"

#include <filterd/plugin.hpp>

#include <gtest/gtest.h>
#include <stdexcept>

namespace filterd {

namespace {

using test::FakeCall;
using test::FakeConfig;
using test::reported;

class Everything final : public Plugin {
public:
    static constexpr const char* noun = "all";
    static constexpr std::uint32_t flags = FILTERD_KEEPS_HISTORY;
    static constexpr std::uint32_t kernel_least = 2;
    static constexpr std::uint32_t kernel_most = 9;

    std::string options(const Config& config) override {
        if (config["throw"].boolean().value_or(false))
            throw std::runtime_error{"no idea"};
        std::string text = config["name"].text().value_or("nobody");
        text += " " + std::to_string(config["level"].number(1, 9).value_or(5));
        text += " " + std::to_string(config["size"].bytes().value_or(0));
        for (const auto& value : config["list"].list())
            text += " " + value.text().value_or("");
        if (!config["needed"].given())
            config["needed"].error("'needed' is missing");
        return text;
    }

    std::string describe(std::string_view options) override { return "as " + std::string{options}; }

    std::optional<std::string> probe() override {
        return usable ? std::nullopt : std::optional{"no hardware"};
    }

    void status(Call& call) override { call.answer(Record{}.add("device", call.device())); }

    void event(Call& call, std::uint64_t value, std::span<const std::byte> data) override {
        call.answer(Record{}.add("value", value).add("bytes", data.size()));
    }

    void attached(Call& call) override {
        call.answer(Record{}.add("device", call.device()).add("key", call.setting("filter.key")));
    }

    void echo(Call& call) {
        call.progress(500, "half");
        call.print(call.text("word") + " " + call.text("other", "-") + " " +
                   std::to_string(call.number("times", 1)) + (call.boolean("loud") ? "!" : "") + "\n");
        if (!call.cursor())
            call.more("go on");
    }

    void ask(Call& call) {
        std::uint64_t value = 7;
        const auto length = call.control(3, value);
        call.answer(Record{}.add("length", length).add("value", value));
    }

    void refuse(Call&) { throw Failure{EBUSY, "not now"}; }
    void break_down(Call&) { throw std::runtime_error{"a bug"}; }
    void throw_number(Call&) { throw 7; }
    void misuse(Call& call) { call.answer("[]"); }
    void flood(Call& call) {
        for (;;)
            call.print(std::string(1 << 16, 'x'));
    }
    void look_for_folder(Call& call) { call.answer(Record{}.add("folder", state_folder())); }

    static constexpr Command<Everything> commands[] = {
        {.name = "echo",
         .description = "Say it again",
         .flags = FILTERD_DEVICE,
         .run = &Everything::echo,
         .arguments = {{.name = "word", .description = "A word", .flags = FILTERD_REQUIRED},
                       {.name = "other", .description = "Another"},
                       {.name = "times", .description = "A number", .type = FILTERD_NUMBER},
                       {.name = "loud", .description = "Or not", .type = FILTERD_BOOLEAN}}},
        {.name = "ask", .description = "Ask the kernel", .run = &Everything::ask},
        {.name = "refuse", .description = "Fail", .run = &Everything::refuse},
        {.name = "break-down", .description = "Fail", .run = &Everything::break_down},
        {.name = "throw-number", .description = "Fail", .run = &Everything::throw_number},
        {.name = "misuse", .description = "Fail", .run = &Everything::misuse},
        {.name = "flood", .description = "Fail", .run = &Everything::flood},
        {.name = "folder", .description = "Show the folder", .run = &Everything::look_for_folder}};

    static inline bool usable = true;
};

class OnlyOptions final : public Plugin {
public:
    std::string options(const Config&) override { return ""; }
};

const filterd_plugin& everything() {
    return *detail::plugin_of<Everything>("all", "1.0", "All", "all", "all");
}

/// Loads it into a host and forgets what was said before.
class PluginHpp : public testing::Test {
protected:
    void SetUp() override {
        reported().clear();
        detail::services = {};
        ASSERT_EQ(everything().load(&host_), 0);
    }

    static FakeCall run(const char* name, FakeCall call = {}) {
        const auto* command = test::command_of(everything(), name);
        const int result = command->run(call.handle());
        EXPECT_EQ(result, call.failure.empty() ? 0 : -1);
        return call;
    }

    filterd_host host_ = test::fake_host();
};

TEST_F(PluginHpp, a_class_becomes_the_structure) {
    const auto& plugin = everything();
    EXPECT_EQ(plugin.size, sizeof(filterd_plugin));
    EXPECT_EQ(plugin.interface, FILTERD_PLUGIN_INTERFACE);
    EXPECT_STREQ(plugin.noun, "all");
    EXPECT_EQ(plugin.flags, FILTERD_KEEPS_HISTORY);
    EXPECT_EQ(plugin.kernel_least, 2U);
    EXPECT_EQ(plugin.kernel_most, 9U);
    const auto* echo = plugin.commands[0];
    EXPECT_EQ(echo->size, sizeof(filterd_command));
    EXPECT_EQ(echo->flags, FILTERD_DEVICE);
    EXPECT_STREQ(echo->arguments[0]->name, "word");
    EXPECT_EQ(echo->arguments[0]->flags, FILTERD_REQUIRED);
    EXPECT_EQ(echo->arguments[0]->type, FILTERD_TEXT);
    EXPECT_EQ(echo->arguments[2]->type, FILTERD_NUMBER);
    EXPECT_EQ(echo->arguments[4], nullptr);
    EXPECT_EQ(plugin.commands[1]->arguments[0], nullptr);
    EXPECT_EQ(plugin.commands[std::size(Everything::commands)], nullptr);
}

TEST_F(PluginHpp, what_a_class_leaves_out_is_not_there) {
    const auto& plugin = *detail::plugin_of<OnlyOptions>("a", "1", "b", "c", "d");
    EXPECT_EQ(plugin.commands, nullptr);
    EXPECT_EQ(plugin.describe, nullptr);
    EXPECT_EQ(plugin.probe, nullptr);
    EXPECT_EQ(plugin.status, nullptr);
    EXPECT_EQ(plugin.event, nullptr);
    EXPECT_EQ(plugin.attached, nullptr);
    EXPECT_EQ(plugin.noun, nullptr);
    EXPECT_NE(plugin.options, nullptr);
}

struct Options {
    int result;
    std::string text;
};

Options options_of(const FakeConfig& config) {
    Options options{};
    options.result = everything().options(reinterpret_cast<const filterd_node*>(&config),
                                          reinterpret_cast<filterd_sink*>(&options.text));
    return options;
}

TEST_F(PluginHpp, values_are_read) {
    const auto options =
        options_of({{"name", "abc"}, {"level", "3"}, {"size", "4096"}, {"list", "xy"}, {"needed", "yes"}});
    EXPECT_EQ(options.result, 0);
    EXPECT_EQ(options.text, "abc 3 4096 xy xy");
    EXPECT_TRUE(reported().empty());
}

TEST_F(PluginHpp, values_that_are_wrong_or_missing_are_reported) {
    const auto options = options_of({{"level", "10"}, {"list", ""}});
    EXPECT_EQ(options.text, "nobody 5 0");
    EXPECT_EQ(reported(), (std::vector<std::string>{"'level' is out of range",
                                                    "'list' must be a list with at least one value",
                                                    "'needed' is missing"}));
}

TEST_F(PluginHpp, an_exception_of_options_is_logged) {
    EXPECT_EQ(options_of({{"throw", "true"}}).result, -1);
    EXPECT_EQ(reported(), std::vector<std::string>{"no idea"});
}

TEST_F(PluginHpp, options_are_described) {
    std::string text;
    EXPECT_EQ(everything().describe("abc", 2, reinterpret_cast<filterd_sink*>(&text)), 0);
    EXPECT_EQ(text, "as ab");
}

TEST_F(PluginHpp, a_probe_says_why_not) {
    std::string why;
    auto* sink = reinterpret_cast<filterd_sink*>(&why);
    EXPECT_EQ(everything().probe(sink), 0);
    Everything::usable = false;
    EXPECT_EQ(everything().probe(sink), -1);
    EXPECT_EQ(why, "no hardware");
    Everything::usable = true;
}

TEST_F(PluginHpp, arguments_are_read_and_the_answer_goes_on) {
    const auto first = run("echo", {.arguments = {{"word", "a"}, {"times", "3"}, {"loud", "1"}}});
    EXPECT_EQ(first.text, "a - 3!\n");
    EXPECT_EQ(first.cursor, "go on");
    EXPECT_EQ(first.thousandths, 500U);
    const auto last =
        run("echo", {.arguments = {{"word", "a"}, {"other", "b"}, {"loud", "0"}, {"cursor", "go on"}}});
    EXPECT_EQ(last.text, "a b 1\n");
    EXPECT_FALSE(last.cursor);
    EXPECT_EQ(run("echo").code, EINVAL);
    EXPECT_EQ(run("echo").failure, "'word' is missing");
}

TEST_F(PluginHpp, the_filter_is_asked) {
    const auto twice = [](std::uint32_t number, void* buffer, std::size_t size, std::size_t* length) {
        EXPECT_EQ(number, 3U);
        EXPECT_EQ(size, 8U);
        *static_cast<std::uint64_t*>(buffer) *= 2;
        *length = 8;
        return 0;
    };
    EXPECT_EQ(run("ask", {.kernel = twice}).records[0].dump(), R"({"length":8,"value":14})");
    const auto refused = run("ask", {.kernel = [](auto...) { return -ESTALE; }});
    EXPECT_EQ(refused.code, ESTALE);
    EXPECT_EQ(refused.failure, "no-such-disk: command 3: Stale file handle");
}

TEST_F(PluginHpp, exceptions_fail_the_call) {
    EXPECT_EQ(run("refuse").code, EBUSY);
    EXPECT_EQ(run("refuse").failure, "not now");
    EXPECT_EQ(run("break-down").code, 0);
    EXPECT_EQ(run("break-down").failure, "a bug");
    EXPECT_EQ(run("throw-number").failure, "an exception of no known kind");
    EXPECT_EQ(run("misuse").code, EMSGSIZE);
    EXPECT_EQ(run("flood").code, EMSGSIZE);
}

TEST_F(PluginHpp, status_and_events_are_answered) {
    FakeCall status;
    EXPECT_EQ(everything().status(status.handle()), 0);
    EXPECT_EQ(status.records[0].dump(), R"({"device":"no-such-disk"})");
    FakeCall event;
    EXPECT_EQ(everything().event(event.handle(), 3, "abc", 3), 0);
    EXPECT_EQ(event.records[0].dump(), R"({"bytes":3,"value":3})");
}

TEST_F(PluginHpp, what_is_attached_is_heard) {
    FakeCall call;
    call.settings = {{"filter.key", "value"}};
    EXPECT_EQ(everything().attached(call.handle()), 0);
    EXPECT_EQ(call.records[0].dump(), R"({"device":"no-such-disk","key":"value"})");
}

TEST_F(PluginHpp, a_record_is_json_whatever_is_in_it) {
    const auto json = Record{}
                          .add("text", "a\"\\\n\x01ü")
                          .add("number", 18446744073709551615U)
                          .add("negative", -1)
                          .add("truth", true)
                          .add("nothing", std::optional<std::string>{})
                          .add("something", std::optional{3})
                          .json();
    const auto read = nlohmann::json::parse(json);
    EXPECT_EQ(read["text"], "a\"\\\n\x01ü");
    EXPECT_EQ(read["number"], 18446744073709551615U);
    EXPECT_EQ(read["negative"], -1);
    EXPECT_EQ(read["truth"], true);
    EXPECT_TRUE(read["nothing"].is_null());
    EXPECT_EQ(read["something"], 3);
    EXPECT_EQ(Record{}.json(), "{}");
}

TEST_F(PluginHpp, an_older_host_is_enough_for_what_it_has) {
    auto older = host_;
    older.size = offsetof(filterd_host, state_folder);
    detail::services = {};
    EXPECT_EQ(everything().load(&older), 0);
    EXPECT_EQ(run("folder").code, ENOSYS);
    EXPECT_EQ(run("folder").failure, "this filterd is too old for the plugin");
    EXPECT_EQ(run("refuse").code, EBUSY);
}

TEST_F(PluginHpp, a_later_host_is_as_good) {
    struct {
        filterd_host host;
        void* appended[4];
    } later{.host = host_, .appended = {}};
    later.host.size = sizeof(later);
    EXPECT_EQ(everything().load(&later.host), 0);
    EXPECT_TRUE(run("folder").records[0]["folder"].is_null());
}

} // namespace

} // namespace filterd
