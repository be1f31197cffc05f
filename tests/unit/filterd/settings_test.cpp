// SPDX-License-Identifier: MIT
#include "config/read.hpp"
#include "daemon/settings.hpp"

#include <gtest/gtest.h>

namespace filterd {

namespace {

using Settings = std::map<std::string, std::string>;

config::Config read(const char* text) {
    config::Diagnostics diagnostics;
    const config::File file{.name = "x.yaml", .text = text};
    auto config = config::read({&file, 1}, diagnostics);
    EXPECT_FALSE(diagnostics.has_errors());
    return config;
}

TEST(Settings, nothing_is_said) {
    EXPECT_EQ(settings_of(read("version: 1"), nullptr), Settings{});
}

TEST(Settings, a_group_goes_before_the_defaults) {
    const auto config = read(R"(version: 1
defaults:
  storage: {path: /storage, limit: 20%, step: 1MiB}
  hooks: {before: stop, after: go}
groups:
  - {name: one, devices: [data], storage: {limit: 64KiB, warn: 50%}, hooks: {after: went, seconds: 7}}
devices:
  - {name: data, match: {id: x}, stack: [{filter: blksnap}]}
)");
    EXPECT_EQ(settings_of(config, nullptr), (Settings{{"storage.path", "/storage"},
                                                      {"storage.limit-thousandths", "200"},
                                                      {"storage.step", "1048576"},
                                                      {"hooks.before", "stop"},
                                                      {"hooks.after", "go"}}));
    EXPECT_EQ(settings_of(config, &config.groups[0]), (Settings{{"group", "one"},
                                                                {"storage.path", "/storage"},
                                                                {"storage.limit", "65536"},
                                                                {"storage.step", "1048576"},
                                                                {"storage.warn-thousandths", "500"},
                                                                {"hooks.before", "stop"},
                                                                {"hooks.after", "went"},
                                                                {"hooks.seconds", "7"}}));
}

} // namespace

} // namespace filterd
