// SPDX-License-Identifier: MIT
#include "fake_kernel.hpp"

#include <blkfilter/node.hpp>

#include <cerrno>
#include <gtest/gtest.h>

namespace blkfilter {

namespace {

using test::at;

Node node_of(test::FakeTransport::Kernel kernel) {
    return Node{std::make_unique<test::FakeTransport>(std::move(kernel)), "/dev/vda1"};
}

Node refusing_node(int code) {
    return node_of([=](unsigned long, void*) { return -code; });
}

TEST(Node, attaches_and_detaches_by_name) {
    std::vector<unsigned long> requests;
    const auto node = node_of([&](unsigned long request, void* argument) {
        requests.push_back(request);
        EXPECT_EQ(test::text(static_cast<blkfilter_name*>(argument)->name), "acme");
        return 0;
    });
    EXPECT_TRUE(node.attach("acme"));
    EXPECT_TRUE(node.detach("acme"));
    // The numbers that existing programs use.
    EXPECT_EQ(requests, (std::vector<unsigned long>{0xc020128c, 0xc020128d}));
}

TEST(Node, a_command_answers_in_its_argument) {
    const auto node = node_of([](unsigned long request, void* argument) {
        auto& raw = *static_cast<blkfilter_ctl*>(argument);
        EXPECT_EQ(request, 0xc030128eU);
        EXPECT_EQ(raw.cmd, 1U);
        *at<std::byte>(raw.opt) = std::byte{9};
        return 0;
    });
    Bytes argument(2);
    EXPECT_EQ(node.control("acme", 1, argument), 2U);
    EXPECT_EQ(argument.front(), std::byte{9});
}

TEST(Node, errors_mean_what_the_interface_says) {
    EXPECT_EQ(refusing_node(EALREADY).attach("acme").error().message, "/dev/vda1: acme: already attached");
    EXPECT_EQ(refusing_node(ENOENT).attach("acme").error().message,
              "/dev/vda1: acme: no such filter: its module is not loaded");
    EXPECT_EQ(refusing_node(EBUSY).attach("acme").error().message,
              "/dev/vda1: acme: another filter is at its altitude");
    EXPECT_EQ(refusing_node(ENOENT).detach("acme").error().message,
              "/dev/vda1: acme: the device has no filter");
    EXPECT_EQ(refusing_node(EINVAL).detach("acme").error().message,
              "/dev/vda1: acme: not attached, but another filter is");
    EXPECT_EQ(refusing_node(ENOTTY).attach("acme").error().message,
              "/dev/vda1: acme: the device knows no filters: module blkfilter is not loaded, or "
              "its parameter ioctl_hook is off");
}

} // namespace

} // namespace blkfilter
