// SPDX-License-Identifier: MIT
#include "client/client.hpp"
#include "fake_daemon.hpp"

#include <gtest/gtest.h>

namespace filterctl {

namespace {

using test::FakeDaemon;
using test::hello;
using test::Peer;
using namespace std::chrono_literals;

/// Far more than anything takes.
constexpr auto connect_limit = 60s;
constexpr double long_enough = 60;

/// What one call to a daemon with this script ends with.
Result<Json> call(FakeDaemon::Script script, double seconds = long_enough,
                  const Client::OnProgress& on_progress = {}) {
    const FakeDaemon daemon{std::move(script)};
    auto client = Client::connect(daemon.path(), connect_limit);
    if (!client)
        return std::unexpected(client.error());
    return client->call("status", Json::object(), in_seconds(seconds), on_progress);
}

/// A daemon that has said who it is and got a request goes on with @p rest.
FakeDaemon::Script after_request(std::function<void(Peer&)> rest) {
    return [rest = std::move(rest)](Peer& peer) {
        peer.send(hello);
        peer.receive();
        rest(peer);
    };
}

FakeDaemon::Script says_first(std::string_view line) {
    return [line = std::string{line}](Peer& peer) {
        peer.send(line);
        peer.wait_for_end();
    };
}

TEST(Client, asks_and_gets_a_result) {
    Json request;
    const auto reply = call([&](Peer& peer) {
        peer.send(hello);
        request = peer.receive();
        peer.send(R"({"id":1,"result":{"a":5}})");
    });
    ASSERT_TRUE(reply) << reply.error().message;
    EXPECT_EQ(number_of(*reply, "a"), 5U);
    EXPECT_EQ(request.dump(), R"({"id":1,"method":"status"})");
}

TEST(Client, hears_the_daemons_version) {
    const FakeDaemon daemon{says_first(R"({"filterd":"7.8.9","protocol":1,"more":"later"})")};
    const auto client = Client::connect(daemon.path(), connect_limit);
    ASSERT_TRUE(client);
    EXPECT_EQ(client->version(), "7.8.9");
}

TEST(Client, a_newer_protocol_is_named) {
    const auto reply = call(says_first(R"({"filterd":"9.0.0","protocol":2})"));
    ASSERT_FALSE(reply);
    EXPECT_EQ(reply.error().code, "failed");
    EXPECT_EQ(reply.error().message, "filterd 9.0.0 speaks protocol 2, this filterctl 1: the newer one is "
                                     "filterd; update filterctl");
}

TEST(Client, an_older_protocol_is_named) {
    const auto reply = call(says_first(R"({"filterd":"0.0.1","protocol":0})"));
    ASSERT_FALSE(reply);
    EXPECT_EQ(reply.error().message, "filterd 0.0.1 speaks protocol 0, this filterctl 1: the newer one is "
                                     "filterctl; update or restart filterd");
}

TEST(Client, somebody_else_is_not_filterd) {
    for (const auto* line : {"220 mail.example.org ESMTP", R"({"id":1})", R"({"filterd":1,"protocol":1})",
                             "[]", R"({"filterd":"0.1.0","protocol":"1"})"}) {
        const auto reply = call(says_first(line));
        ASSERT_FALSE(reply) << line;
        EXPECT_EQ(reply.error().code, "failed");
        EXPECT_NE(reply.error().message.find("is not filterd"), std::string::npos) << reply.error().message;
    }
}

TEST(Client, who_says_nothing_first_takes_too_long) {
    const FakeDaemon daemon{[](Peer& peer) { peer.wait_for_end(); }};
    const auto client = Client::connect(daemon.path(), 50ms);
    ASSERT_FALSE(client);
    EXPECT_EQ(client.error().code, "timeout");
}

TEST(Client, nobody_listens) {
    const auto client = Client::connect("/nonexistent/sock", connect_limit);
    ASSERT_FALSE(client);
    EXPECT_EQ(client.error().code, "unreachable");
    EXPECT_NE(client.error().message.find("/nonexistent/sock"), std::string::npos);
}

TEST(Client, a_path_may_be_too_long) {
    const auto client = Client::connect(std::string(200, 'x'), connect_limit);
    ASSERT_FALSE(client);
    EXPECT_EQ(client.error().code, "invalid");
}

TEST(Client, an_error_has_code_message_and_details) {
    const auto reply = call(after_request([](Peer& peer) {
        peer.send(R"({"id":1,"error":{"code":"partly","message":"1 of 2","details":{"plan":[]}}})");
    }));
    ASSERT_FALSE(reply);
    EXPECT_EQ(reply.error().code, "partly");
    EXPECT_EQ(reply.error().message, "1 of 2");
    EXPECT_EQ(reply.error().details.dump(), R"({"plan":[]})");
}

TEST(Client, an_error_without_an_id_is_ours) {
    const auto reply = call(after_request(
        [](Peer& peer) { peer.send(R"({"id":null,"error":{"code":"invalid","message":"not JSON"}})"); }));
    ASSERT_FALSE(reply);
    EXPECT_EQ(reply.error().message, "not JSON");
}

TEST(Client, replies_to_others_are_passed_over) {
    const auto reply = call(after_request([](Peer& peer) {
        peer.send(R"({"id":99,"result":"wrong"})");
        peer.send(R"({"id":1,"result":"right"})");
    }));
    ASSERT_TRUE(reply);
    EXPECT_EQ(*reply, "right");
}

TEST(Client, progress_comes_before_the_result) {
    std::vector<std::string> lines;
    const auto reply = call(after_request([](Peer& peer) {
                                peer.send(R"({"id":1,"progress":{"job":7,"thousandths":500,"text":"sdb"}})");
                                peer.send(R"({"id":1,"progress":{"thousandths":900}})");
                                peer.send(R"({"id":1,"result":{}})");
                            }),
                            long_enough, [&](const Progress& progress) {
                                lines.push_back(std::to_string(progress.job) + ' ' +
                                                std::to_string(progress.thousandths) + ' ' + progress.text);
                            });
    ASSERT_TRUE(reply);
    EXPECT_EQ(lines, (std::vector<std::string>{"7 500 sdb", "0 900 "}));
}

TEST(Client, a_connection_may_be_closed_before_the_answer) {
    const auto reply = call(after_request([](Peer&) {}));
    ASSERT_FALSE(reply);
    EXPECT_EQ(reply.error().code, "unreachable");
    EXPECT_EQ(reply.error().message, "filterd has closed the connection before it had answered");
}

TEST(Client, a_connection_may_be_closed_in_the_middle) {
    const auto reply = call(after_request([](Peer& peer) { peer.send_bytes(R"({"id":1,"resu)"); }));
    ASSERT_FALSE(reply);
    EXPECT_EQ(reply.error().code, "unreachable");
    EXPECT_EQ(reply.error().message, "filterd has closed the connection in the middle of an answer");
}

TEST(Client, a_slow_reply_is_not_waited_for) {
    const auto began = std::chrono::steady_clock::now();
    const auto reply = call(after_request([](Peer& peer) { peer.wait_for_end(); }), 0.05);
    ASSERT_FALSE(reply);
    EXPECT_EQ(reply.error().code, "timeout");
    EXPECT_GE(std::chrono::steady_clock::now() - began, 50ms);
}

TEST(Client, progress_does_not_prolong_the_time) {
    const auto reply = call(after_request([](Peer& peer) {
                                for (int i = 0; i < 20; ++i) {
                                    peer.send(R"({"id":1,"progress":{"thousandths":1}})");
                                    std::this_thread::sleep_for(10ms);
                                }
                                peer.send(R"({"id":1,"result":{}})");
                            }),
                            0.05);
    ASSERT_FALSE(reply);
    EXPECT_EQ(reply.error().code, "timeout");
}

TEST(Client, garbage_is_shown_in_part_and_harmless) {
    const auto reply =
        call(after_request([](Peer& peer) { peer.send("\033[2Jgarbage" + std::string(100, 'x')); }));
    ASSERT_FALSE(reply);
    EXPECT_EQ(reply.error().code, "failed");
    EXPECT_EQ(reply.error().message,
              "filterd sent what is not the protocol: '?[2Jgarbage" + std::string(49, 'x') + "...'");
}

TEST(Client, what_is_no_message_is_garbage) {
    for (const auto* line : {"", "5", "[1]", "{}", R"({"id":1})", R"({"id":"1","result":1})",
                             R"({"id":null})", R"({"id":1,"result":1)", "\xff\xfe"}) {
        const auto reply = call(after_request([&](Peer& peer) { peer.send(line); }));
        ASSERT_FALSE(reply) << line;
        EXPECT_EQ(reply.error().code, "failed") << line;
    }
}

TEST(Client, an_error_that_is_no_object_is_a_failure) {
    const auto reply = call(after_request([](Peer& peer) { peer.send(R"({"id":1,"error":"no"})"); }));
    ASSERT_FALSE(reply);
    EXPECT_EQ(exit_code_of(reply.error().code), ExitCode::failed);
    EXPECT_EQ(reply.error().message, "filterd gives no reason");
}

TEST(Client, a_line_comes_in_pieces) {
    const auto reply = call(after_request([](Peer& peer) {
        for (const char c : std::string_view{"{\"id\":1,\"result\":\"a\xc3\xa4\"}\n"}) {
            peer.send_bytes({&c, 1});
            std::this_thread::sleep_for(1ms);
        }
    }));
    ASSERT_TRUE(reply);
    EXPECT_EQ(*reply, "a\xc3\xa4");
}

TEST(Client, a_long_answer_is_read) {
    const std::string text(3'000'000, 'x');
    const auto reply =
        call(after_request([&](Peer& peer) { peer.send_json(Json{{"id", 1}, {"result", text}}); }));
    ASSERT_TRUE(reply);
    EXPECT_EQ(*reply, text);
}

TEST(Client, a_request_must_not_be_too_long) {
    const FakeDaemon daemon{says_first(hello)};
    auto client = Client::connect(daemon.path(), connect_limit);
    ASSERT_TRUE(client);
    const auto reply = client->call("command", {{"a", std::string(70'000, 'x')}}, in_seconds(long_enough));
    ASSERT_FALSE(reply);
    EXPECT_EQ(reply.error().code, "invalid");
}

TEST(Client, watches_until_it_wants_no_more) {
    const FakeDaemon daemon{after_request([](Peer& peer) {
        peer.send(R"({"id":1,"result":{}})");
        for (int i = 0; i < 3; ++i)
            peer.send_json(Json{{"id", 1}, {"event", {{"time", i}}}});
        peer.wait_for_end();
    })};
    auto client = Client::connect(daemon.path(), connect_limit);
    ASSERT_TRUE(client);
    std::vector<std::uint64_t> times;
    bool begun = false;
    const auto watched = client->watch(
        in_seconds(long_enough),
        [&](const Json& event) {
            EXPECT_TRUE(begun);
            times.push_back(number_of(event, "time"));
            return times.size() < 2;
        },
        [&] { begun = true; });
    EXPECT_TRUE(watched);
    EXPECT_EQ(times, (std::vector<std::uint64_t>{0, 1}));
}

TEST(ExitCode, is_that_of_the_protocol) {
    const std::map<std::string, int> codes{
        {"failed", 1},  {"invalid", 2}, {"denied", 1},      {"not-found", 4},        {"refused", 5},
        {"timeout", 6}, {"partly", 10}, {"unreachable", 3}, {"what comes later", 1}, {"", 1}};
    for (const auto& [word, code] : codes)
        EXPECT_EQ(static_cast<int>(exit_code_of(word)), code) << word;
}

} // namespace

} // namespace filterctl
