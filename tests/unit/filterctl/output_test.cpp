// SPDX-License-Identifier: MIT
#include "output/answer.hpp"
#include "output/document.hpp"
#include "output/output.hpp"
#include "output/views.hpp"

#include <array>
#include <csignal>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <system_error>
#include <unistd.h>

namespace filterctl {

namespace {

/// A pipe that Output writes to.
class Pipe {
public:
    Pipe() { EXPECT_EQ(::pipe2(ends_.data(), O_CLOEXEC | O_NONBLOCK), 0); }
    Pipe(const Pipe&) = delete;
    Pipe& operator=(const Pipe&) = delete;
    ~Pipe() {
        close_reader();
        ::close(ends_[1]);
    }

    [[nodiscard]] int writer() const { return ends_[1]; }
    void close_reader() {
        if (ends_[0] >= 0)
            ::close(std::exchange(ends_[0], -1));
    }
    [[nodiscard]] std::string read() const {
        std::array<char, 4096> part;
        const auto size = ::read(ends_[0], part.data(), part.size());
        return {part.data(), size > 0 ? static_cast<std::size_t>(size) : 0};
    }

private:
    std::array<int, 2> ends_{-1, -1};
};

/// What the pages of an answer print, and then its end.
std::string printed(const std::vector<Json>& pages, bool as_json, const Failure* failure = nullptr) {
    const Pipe pipe;
    Output output{pipe.writer()};
    AnswerPrinter printer{output, as_json};
    for (const auto& page : pages)
        EXPECT_TRUE(printer.page(page));
    printer.end(failure);
    output.flush();
    return pipe.read();
}

Json records(const char* list) {
    return {{"records", Json::parse(list)}};
}

TEST(Output, is_written_by_flush) {
    const Pipe pipe;
    Output output{pipe.writer()};
    EXPECT_FALSE(output.is_used());
    output.print("a");
    EXPECT_EQ(pipe.read(), "");
    EXPECT_TRUE(output.is_used());
    output.flush();
    EXPECT_EQ(pipe.read(), "a");
}

TEST(Output, ends_when_nobody_reads) {
    const auto before = std::signal(SIGPIPE, SIG_IGN);
    Pipe pipe;
    Output output{pipe.writer()};
    pipe.close_reader();
    output.print("a");
    EXPECT_THROW(output.flush(), NobodyReads);
    std::signal(SIGPIPE, before);
}

TEST(Output, says_why_it_cannot_write) {
    const int full = ::open("/dev/full", O_WRONLY | O_CLOEXEC);
    Output output{full};
    output.print("a");
    try {
        output.flush();
        ADD_FAILURE() << "written";
    } catch (const std::system_error& error) {
        EXPECT_EQ(error.code().value(), ENOSPC);
    }
    ::close(full);
}

TEST(Cells, are_as_people_read_them) {
    EXPECT_EQ(cell_of("a b"), "a b");
    EXPECT_EQ(cell_of(5), "5");
    EXPECT_EQ(cell_of(true), "yes");
    EXPECT_EQ(cell_of(false), "no");
    EXPECT_EQ(cell_of(nullptr), "-");
    EXPECT_EQ(cell_of(Json::array()), "-");
    EXPECT_EQ(cell_of({"a", 1, nullptr}), "a,1,-");
    EXPECT_EQ(cell_of(Json::parse(R"([{"a":1}])")), R"([{"a":1}])");
    EXPECT_EQ(cell_of(Json::parse(R"({"a":[1]})")), R"({"a":[1]})");
}

TEST(Records, are_a_table_of_all_keys_as_they_first_come) {
    EXPECT_EQ(printed({records(R"([{"offset":8,"kind":"written"},{"offset":100,"new_key":true}])")}, false),
              "OFFSET KIND    NEW-KEY\n"
              "     8 written -\n"
              "   100 -       yes\n");
}

TEST(Records, have_their_columns_in_the_order_that_is_given) {
    EXPECT_EQ(printed({Json::parse(R"({"records":[{"a":"","b":1,"z":2}],"columns":["b","a"]})")}, false),
              "B A Z\n"
              "1 - 2\n");
}

TEST(Records, go_on_below_each_other) {
    EXPECT_EQ(
        printed({records(R"([{"a":1,"b":"long text"}])"), records(R"([{"b":"x","a":2}])"), records("[]")},
                false),
        "A B\n"
        "1 long text\n"
        "2 x\n");
}

TEST(Records, keep_the_width_of_the_page_before) {
    EXPECT_EQ(printed({records(R"([{"a":1000,"b":"x"}])"), records(R"([{"a":2,"b":"y"}])")}, false),
              "   A B\n"
              "1000 x\n"
              "   2 y\n");
}

TEST(Records, have_a_new_heading_for_a_new_column) {
    EXPECT_EQ(printed({records(R"([{"a":1}])"), records(R"([{"a":2,"c":3}])")}, false), "A\n1\nA C\n2 3\n");
}

TEST(Records, are_one_json_document) {
    const auto text = printed({records(R"([{"b":1,"a":2}])"), records(R"([{"b":3}])")}, true);
    EXPECT_EQ(text, "{\"version\":1,\"records\":[\n{\"b\":1,\"a\":2},\n{\"b\":3}\n]}\n");
    EXPECT_TRUE(Json::accept(text));
}

TEST(Records, that_are_none_are_an_empty_list) {
    EXPECT_EQ(printed({records("[]")}, true), "{\"version\":1,\"records\":[]}\n");
    EXPECT_EQ(printed({records("[]")}, false), "");
}

TEST(Records, that_break_off_are_a_whole_document_with_the_error) {
    const Failure failure{.code = "unreachable", .message = "gone"};
    const auto text = printed({records(R"([{"a":1}])")}, true, &failure);
    const auto document = Json::parse(text);
    EXPECT_EQ(document["records"].size(), 1U);
    EXPECT_EQ(document["error"].dump(), R"({"code":"unreachable","message":"gone"})");
}

TEST(Answer, text_is_printed_as_it_is) {
    EXPECT_EQ(printed({{{"text", "a\tb\n"}}, {{"text", "c"}}}, false), "a\tb\nc");
}

TEST(Answer, text_in_pages_is_one_json_text) {
    const auto text = printed({{{"text", "a\"\n"}}, {{"text", "b"}}, records("[]")}, true);
    EXPECT_EQ(Json::parse(text), Json::parse(R"({"version":1,"text":"a\"\nb"})"));
}

TEST(Answer, that_is_none_is_refused) {
    const Pipe pipe;
    Output output{pipe.writer()};
    for (const auto* page :
         {"null", "[]", "{}", R"({"records":5})", R"({"records":[1]})", R"({"text":null})"}) {
        const auto done = AnswerPrinter{output, false}.page(Json::parse(page));
        ASSERT_FALSE(done) << page;
        EXPECT_EQ(done.error().code, "failed");
    }
}

TEST(Answer, of_one_wide_record_has_a_line_for_each_key) {
    const auto wide = [](const char* cursor) {
        auto page =
            Json::parse(R"({"records":[{"a":1,"b":null,"c":"three four","d":true,"e":["x","y"],"f":"","g":7,
                                    "h":8,"i":9,"j":10,"k":11,"l":12,"z":0}],
                                    "columns":["z","a","b","c","d","e","f","g","h","i","j","k","l","none"]})");
        if (cursor)
            page["cursor"] = cursor;
        return page;
    };
    EXPECT_EQ(printed({wide(nullptr)}, false),
              "z: 0\na: 1\nc: three four\nd: yes\ne: x,y\ng: 7\nh: 8\ni: 9\nj: 10\nk: 11\nl: 12\n");
    EXPECT_TRUE(printed({wide("more")}, false).starts_with("Z A ")) << "others follow";
}

TEST(Answer, is_not_of_both_kinds) {
    const Pipe pipe;
    Output output{pipe.writer()};
    AnswerPrinter printer{output, true};
    EXPECT_TRUE(printer.page({{"text", "a"}}));
    EXPECT_FALSE(printer.page(records(R"([{"a":1}])")));
}

TEST(Document, has_our_version_in_front) {
    EXPECT_EQ(line_document_of({{"a", 1}, {"version", 99}}), "{\"version\":1,\"a\":1}\n");
    EXPECT_EQ(document_of({{"a", 1}}), "{\n  \"version\": 1,\n  \"a\": 1\n}\n");
}

TEST(Document, may_hold_what_is_no_utf_8) {
    EXPECT_EQ(line_document_of({{"a", "\xff"}}), "{\"version\":1,\"a\":\"\xef\xbf\xbd\"}\n");
}

TEST(Views, an_event_is_a_line) {
    EXPECT_EQ(
        event_view(Json::parse(
            R"({"time":"12:00","type":"attached","text":"by hand","device":"sda","filter":"x","job":7})")),
        "12:00 attached sda x job 7: by hand\n");
}

TEST(Views, a_plan_shows_devices_with_steps) {
    EXPECT_EQ(plan_view(Json::parse(R"({"plan":[
                  {"name":"a","device":"sda","steps":[]},
                  {"name":"b","device":"sdb","steps":[{"kind":"attach","filter":"x","text":"at 1"}]},
                  {"name":null,"device":"sdc","steps":[{"kind":"detach","filter":"y","text":"gone"}],
                   "error":"busy"}]})")),
              "b (sdb)\n"
              "  attach x: at 1\n"
              "sdc\n"
              "  detach y: gone\n"
              "  failed: busy\n");
}

TEST(Views, a_diff_shows_what_differs) {
    EXPECT_EQ(diff_view(Json::parse(R"({"diff":[{"name":"a","device":"sda","filters":[
                  {"filter":"same","kernel":{"altitude":"1"},"file":{"altitude":"1"}},
                  {"filter":"x","kernel":{"altitude":"2","options":"o=1"},"file":{"altitude":"3","options":"o=1"}},
                  {"filter":"y","kernel":null,"file":{"altitude":"4","options":null}}]}]})")),
              "a (sda)\n"
              "  - x 2 o=1\n"
              "  + x 3 o=1\n"
              "  + y 4\n");
}

/// A status with every state that a device can be in.
Json some_status() {
    return Json::parse(R"({
        "service": {"version": "0.1.0", "pid": 312, "started": "noon"},
        "kernel": {"interface": 1, "hook_active": true, "error": null},
        "config": {"files": [], "loaded": "", "errors": ["f.yaml:1:2: error: bad"]},
        "devices": [
            {"name": "data", "state": "in sync", "why": null, "coverage": "all", "present": [
                {"device": "sda1", "number": "8:1", "steps": [], "stack": [
                    {"filter": "cbt", "altitude": "450000", "ownership": "declared", "options": "b=1",
                     "state": "on", "from_first_bio": true, "status": {"blocks": 3}, "read": 12, "write": 7}]}]},
            {"name": "log", "state": "pending", "why": "it is not there", "present": []},
            {"name": "new", "state": "drift", "why": null, "present": [
                {"device": "sdb", "number": "8:16", "stack": [],
                 "steps": [{"kind": "attach", "filter": "cbt", "text": "at 450000"}]}]}],
        "others": [{"device": "sdc", "number": "8:32", "stack": [
            {"filter": "x", "altitude": "1", "ownership": "foreign", "options": "", "state": "on",
             "from_first_bio": false, "status": null, "read": 1, "write": 2}]}],
        "plugins": [{"name": "cbt", "state": "ready", "why": null},
                    {"name": "acme", "state": "failed", "why": "it crashed"}],
        "rollback": {"seconds": 42}})");
}

TEST(Views, a_status_shows_devices_and_what_is_wrong) {
    EXPECT_EQ(status_view(some_status()),
              "filterd 0.1.0, pid 312, since noon; kernel interface 1, hook active\n"
              "configuration: f.yaml:1:2: error: bad\n"
              "\n"
              "NAME DEVICE STATE   FILTER ALTITUDE OWNERSHIP FILTER-STATE FIRST-BIO READ WRITE\n"
              "data sda1   in sync cbt    450000   declared  on           yes         12     7\n"
              "log  -      pending -      -        -         -            -            -     -\n"
              "new  sdb    drift   -      -        -         -            -            -     -\n"
              "-    sdc    -       x      1        foreign   on           no           1     2\n"
              "\n"
              "log: pending: it is not there\n"
              "new (sdb): 'filterctl apply' would:\n"
              "  attach cbt: at 450000\n"
              "plugin acme: failed: it crashed\n"
              "the last 'apply' is undone in 42 s unless you say: filterctl confirm\n");
}

TEST(Views, a_status_says_why_there_is_no_kernel) {
    EXPECT_EQ(status_view(Json::parse(R"({"service": {"version": "1", "pid": 2, "started": "noon"},
                                          "kernel": {"error": "no module"},
                                          "config": {"loaded": "noon"}})")),
              "filterd 1, pid 2, since noon; kernel: no module\n");
}

TEST(Views, a_status_says_when_it_is_an_old_one) {
    auto status = some_status();
    status["service"]["age_seconds"] = 2;
    EXPECT_EQ(status_view(status), status_view(some_status()));
    status["service"]["age_seconds"] = 12;
    EXPECT_NE(status_view(status).find("active\nfilterd is busy: this is what it saw 12 s ago\n"),
              std::string::npos);
}

TEST(Views, a_status_says_that_no_configuration_is_in_force) {
    auto status = some_status();
    status["config"] = {{"loaded", nullptr}, {"errors", Json::array()}};
    EXPECT_NE(status_view(status).find("\nconfiguration: not read yet\n"), std::string::npos);
    status["config"]["errors"].push_back("f.yaml:1:2: error: bad");
    EXPECT_NE(status_view(status).find("so that nothing is changed\nconfiguration: f.yaml:1:2: error: bad\n"),
              std::string::npos);
}

TEST(Views, nothing_trips_over_a_reply_of_another_shape) {
    for (const auto* text : {"null", "[]", "5", "{}", R"({"devices":[5,{"present":[null]}],"others":{}})",
                             R"({"plan":[null],"diff":[{"filters":[1]}],"plugins":5,"rollback":"soon"})"}) {
        const auto reply = Json::parse(text);
        status_view(reply);
        plan_view(reply);
        diff_view(reply);
        stack_view(reply);
        event_view(reply);
    }
}

} // namespace

} // namespace filterctl
