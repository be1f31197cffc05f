// SPDX-License-Identifier: MIT
#include "fake_kernel.hpp"

#include <blkfilter/events.hpp>

#include <array>
#include <cerrno>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

namespace blkfilter {

namespace {

using namespace std::chrono_literals;

/// The stream reads from a pipe.
class EventTest : public testing::Test {
protected:
    EventTest() {
        std::array<int, 2> ends{};
        EXPECT_EQ(pipe2(ends.data(), O_NONBLOCK | O_CLOEXEC), 0);
        stream_ = EventStream{FileDescriptor{ends[0]}};
        kernel_ = FileDescriptor{ends[1]};
    }

    void send(const void* bytes, std::size_t size) const {
        EXPECT_EQ(write(kernel_.get(), bytes, size), static_cast<ssize_t>(size));
    }

    static blkfilter_event event(std::uint64_t sequence) {
        blkfilter_event raw{};
        raw.size = sizeof(raw);
        raw.type = BLKFILTER_EVENT_DETACHED;
        raw.seq = sequence;
        return raw;
    }

    EventStream stream_{FileDescriptor{}};
    FileDescriptor kernel_;
};

TEST_F(EventTest, an_event_arrives_with_all_that_is_known) {
    auto raw = event(5);
    raw.time_ns = 1'000;
    raw.device = {.major = 254, .minor = 1, .diskseq = 10};
    raw.value = 77;
    raw.reason = BLKFILTER_REASON_UNCONFIRMED;
    raw.pid = 42;
    test::put(raw.name, "acme");
    test::put(raw.comm, "mkfs");
    raw.data[63] = 1;
    send(&raw, sizeof(raw));

    const auto next = stream_.next(0ms);
    ASSERT_TRUE(next);
    ASSERT_TRUE(*next);
    const auto& event = **next;
    EXPECT_EQ(event.type, EventType::detached);
    EXPECT_EQ(event.sequence, 5U);
    EXPECT_EQ(event.since_boot, 1us);
    EXPECT_EQ(event.device, (DeviceId{254, 1, 10}));
    EXPECT_EQ(event.value, 77U);
    EXPECT_EQ(event.reason, Reason::unconfirmed);
    EXPECT_EQ(event.pid, 42U);
    EXPECT_EQ(event.name, "acme");
    EXPECT_EQ(event.process, "mkfs");
    EXPECT_EQ(event.data.back(), std::byte{1});
}

TEST_F(EventTest, an_event_without_a_device_has_none) {
    const auto raw = event(1);
    send(&raw, sizeof(raw));
    EXPECT_FALSE(stream_.next(0ms)->value().device);
}

TEST_F(EventTest, nothing_comes_when_the_time_is_over) {
    for (auto timeout : {0ms, 5ms}) {
        const auto next = stream_.next(timeout);
        ASSERT_TRUE(next);
        EXPECT_FALSE(*next);
    }
}

TEST_F(EventTest, several_at_once_come_in_their_order) {
    const std::array raw{event(1), event(2), event(3)};
    send(raw.data(), sizeof(raw));
    for (std::uint64_t sequence : {1U, 2U, 3U})
        EXPECT_EQ(stream_.next(0ms)->value().sequence, sequence);
    EXPECT_FALSE(*stream_.next(0ms));
}

TEST_F(EventTest, what_a_later_kernel_appends_is_skipped) {
    struct {
        blkfilter_event known;
        std::uint64_t appended;
    } larger{event(1), 0xffff};
    larger.known.size = sizeof(larger);
    const auto second = event(2);
    send(&larger, sizeof(larger));
    send(&second, sizeof(second));
    EXPECT_EQ(stream_.next(0ms)->value().sequence, 1U);
    EXPECT_EQ(stream_.next(0ms)->value().sequence, 2U);
}

TEST_F(EventTest, an_event_of_a_wrong_size_is_an_error_and_not_read_twice) {
    auto shorter = event(1);
    shorter.size = 16;
    send(&shorter, 16);
    const auto next = stream_.next(0ms);
    ASSERT_FALSE(next);
    EXPECT_EQ(next.error().code, EPROTO);
    EXPECT_EQ(next.error().message, "events: an event of 16 bytes: the loaded module blkfilter and "
                                    "this program do not fit");
    EXPECT_FALSE(*stream_.next(0ms));

    auto promising = event(2);
    promising.size = 4096;
    send(&promising, sizeof(promising));
    EXPECT_EQ(stream_.next(0ms).error().code, EPROTO);

    const char stub = 1;
    send(&stub, sizeof(stub));
    EXPECT_EQ(stream_.next(0ms).error().code, EPROTO);
}

TEST_F(EventTest, the_end_of_the_file_is_an_error) {
    kernel_ = FileDescriptor{};
    EXPECT_EQ(stream_.next(0ms).error().code, EPROTO);
}

TEST(EventType, what_is_unknown_has_a_text_too) {
    EXPECT_EQ(to_string(EventType::hook_lost), "hook-lost");
    EXPECT_EQ(to_string(EventType{1000}), "unknown");
    EXPECT_EQ(to_string(Reason{1000}), "unknown");
    EXPECT_EQ(to_string(Reason::none), "");
}

} // namespace

} // namespace blkfilter
