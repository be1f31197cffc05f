// SPDX-License-Identifier: MIT
#include "fake_kernel.hpp"

#include <cerrno>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace blkfilter {

namespace {

using test::at;
using test::control_of;
using test::device;
using test::refusing_control;
using testing::ElementsAre;

TEST(Control, a_missing_module_is_named_with_the_remedy) {
    const auto control = Control::open("/dev/no-such-control");
    ASSERT_FALSE(control);
    EXPECT_EQ(control.error().code, ENOENT);
    EXPECT_EQ(control.error().message,
              "/dev/no-such-control: module blkfilter is not loaded: modprobe blkfilter");
}

TEST(Control, says_its_version) {
    const auto control = control_of([](unsigned long request, void* argument) {
        auto& raw = *static_cast<blkfilter_version*>(argument);
        EXPECT_EQ(request, BLKFILTER_IOC_VERSION);
        EXPECT_EQ(raw.size, sizeof(raw));
        raw.version = 1;
        raw.capabilities = BLKFILTER_CAP_NODE_IOCTLS;
        return 0;
    });
    const auto version = control.version();
    ASSERT_TRUE(version);
    EXPECT_EQ(version->interface, 1U);
    EXPECT_FALSE(version->hook_active);
    EXPECT_TRUE(version->node_ioctls);
}

TEST(Control, errors_say_what_they_mean) {
    EXPECT_EQ(refusing_control(EPERM).version().error().message,
              "version: not permitted: it needs CAP_SYS_ADMIN, run it as root");
    EXPECT_EQ(refusing_control(ENODEV).stack(device).error().message,
              "4095:7: no such device any more: it was removed or exchanged");
    EXPECT_EQ(refusing_control(EIO).filters().error().message, "filters: Input/output error");
}

TEST(Control, lists_filters_with_all_that_is_known) {
    const auto control = control_of([](unsigned long request, void* argument) {
        auto& list = *static_cast<blkfilter_list*>(argument);
        EXPECT_EQ(request, BLKFILTER_IOC_LIST_FILTERS);
        EXPECT_EQ(list.entry_size, sizeof(blkfilter_filter_info));
        auto& filter = *at<blkfilter_filter_info>(list.entries);
        // A name that fills its field has no NUL within it.
        test::put(filter.name, std::string(BLKFILTER_NAME_LENGTH, 'x'));
        test::put(filter.module, "acme");
        filter.altitude = 450'000'500'000;
        filter.instances = 3;
        filter.flags = BLKFILTER_FILTER_ZONED;
        list.count = 1;
        return 0;
    });
    const auto filters = control.filters();
    ASSERT_TRUE(filters);
    ASSERT_EQ(filters->size(), 1U);
    const auto& filter = filters->front();
    EXPECT_EQ(filter.name, std::string(BLKFILTER_NAME_LENGTH, 'x'));
    EXPECT_EQ(filter.module, "acme");
    EXPECT_EQ(filter.default_altitude.to_string(), "450000.5");
    EXPECT_EQ(filter.instances, 3U);
    EXPECT_FALSE(filter.needs_points);
    EXPECT_TRUE(filter.zoned);
}

/// A kernel with @p there devices, one more at every call.
auto growing_kernel(std::uint32_t there, std::vector<std::uint32_t>& rooms) {
    return [there, &rooms](unsigned long, void* argument) mutable {
        auto& list = *static_cast<blkfilter_list*>(argument);
        rooms.push_back(list.count);
        for (std::uint32_t i = 0; i < std::min(list.count, there); ++i)
            at<blkfilter_device_info>(list.entries)[i].device.minor = i;
        list.count = there++;
        return 0;
    };
}

TEST(Control, a_list_that_grows_is_asked_for_again_with_more_room) {
    std::vector<std::uint32_t> rooms;
    auto kernel = growing_kernel(100, rooms);
    auto calls = 0;
    const auto control = control_of([&](unsigned long request, void* argument) {
        // Grows beyond the room that was enough a moment ago, twice.
        return ++calls < 3 ? kernel(request, argument) : growing_kernel(101, rooms)(request, argument);
    });
    const auto devices = control.devices();
    ASSERT_TRUE(devices);
    EXPECT_THAT(rooms, ElementsAre(16, 100, 101));
    ASSERT_EQ(devices->size(), 101U);
    EXPECT_EQ(devices->back().device.minor, 100U);
}

TEST(Control, an_empty_list_is_no_error) {
    std::vector<std::uint32_t> rooms;
    const auto devices = control_of(growing_kernel(0, rooms)).devices();
    ASSERT_TRUE(devices);
    EXPECT_TRUE(devices->empty());
}

TEST(Control, a_point_goes_to_the_kernel_as_asked_for) {
    const auto id = PointId::random();
    const auto control = control_of([&](unsigned long request, void* argument) {
        auto& raw = *static_cast<blkfilter_point*>(argument);
        EXPECT_EQ(request, BLKFILTER_IOC_POINT);
        EXPECT_EQ(std::memcmp(raw.id, id.bytes().data(), sizeof(raw.id)), 0);
        EXPECT_EQ(raw.freeze_count, 1U);
        EXPECT_EQ(at<blkfilter_device>(raw.freeze)->minor, 8U);
        EXPECT_EQ(raw.close_count, 2U);
        EXPECT_EQ(at<blkfilter_device>(raw.close)[1].diskseq, 99U);
        EXPECT_EQ(raw.limit_ms, 250U);
        raw.closed_ns = 1'500'000;
        raw.frozen_ns = 2'000'000;
        return 0;
    });
    const auto point = control.point({.id = id,
                                      .freeze = {{4095, 8, 98}},
                                      .close = {{4095, 8, 98}, device},
                                      .limit = std::chrono::milliseconds{250}});
    ASSERT_TRUE(point);
    EXPECT_EQ(point->id, id);
    EXPECT_EQ(point->closed.count(), 1'500'000);
    EXPECT_EQ(point->frozen.count(), 2'000'000);
}

std::string point_failure(int code, std::uint32_t failed) {
    const auto control = control_of([=](unsigned long, void* argument) {
        static_cast<blkfilter_point*>(argument)->failed = failed;
        return -code;
    });
    return control.point({.id = PointId::random(), .freeze = {{4095, 8, 98}}, .close = {device}, .limit = {}})
        .error()
        .message;
}

TEST(Control, a_failed_point_names_the_device) {
    EXPECT_EQ(point_failure(ETIMEDOUT, 0),
              "4095:7: its writes did not drain in time, nothing has happened: try again, or with "
              "a longer limit");
    EXPECT_EQ(point_failure(EIO, 0 | BLKFILTER_FAILED_FREEZE),
              "4095:8: freezing its file system: Input/output error");
    EXPECT_EQ(point_failure(EIO, BLKFILTER_NO_ENTRY), "point: Input/output error");
}

TEST(Control, a_point_of_no_device_is_refused_before_the_kernel_is_asked) {
    const auto point = refusing_control(EIO).point({.id = PointId::random()});
    ASSERT_FALSE(point);
    EXPECT_EQ(point.error().code, EINVAL);
    EXPECT_EQ(point.error().message, "point: no device takes part");
}

TEST(Control, a_command_answers_in_its_argument) {
    const auto control = control_of([](unsigned long request, void* argument) {
        auto& raw = *static_cast<blkfilter_command*>(argument);
        EXPECT_EQ(request, BLKFILTER_IOC_COMMAND);
        EXPECT_EQ(test::text(raw.name), "acme");
        EXPECT_EQ(raw.cmd, 5U);
        EXPECT_EQ(raw.optlen, 4U);
        *at<std::byte>(raw.opt) = std::byte{0x2a};
        raw.optlen = 1;
        return 0;
    });
    Bytes argument(4);
    EXPECT_EQ(control.command(device, "acme", 5, argument), 1U);
    EXPECT_EQ(argument.front(), std::byte{0x2a});
}

TEST(Control, a_failed_command_is_explained) {
    EXPECT_EQ(refusing_control(ENOTTY).command(device, "acme", 5, {}).error().message,
              "4095:7: acme: command 5: the filter has no such command");
    EXPECT_EQ(refusing_control(ENOENT).command(device, "acme", 5, {}).error().message,
              "4095:7: acme: command 5: the filter is not attached to the device");
    EXPECT_EQ(refusing_control(EIO).command(device, std::string(32, 'x'), 5, {}).error().code, ENAMETOOLONG);
}

} // namespace

} // namespace blkfilter
