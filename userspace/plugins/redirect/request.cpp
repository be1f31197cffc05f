// SPDX-License-Identifier: MIT
#include "request.hpp"

#include "../results.hpp"

#include <cerrno>
#include <cstdint>
#include <fmt/format.h>

namespace filterd::redirects {

using blkfilter::redirect::Mode;

namespace {

constexpr std::uint64_t most_in_flight = 64;

constexpr const char* interpose = "interpose";

Mode mode_of(const std::string& word) {
    if (word == interpose)
        return Mode::only;
    for (const auto mode : {Mode::only, Mode::write_blocking, Mode::background})
        if (to_string(mode) == word)
            return mode;
    throw Failure{EINVAL, fmt::format("'{}' is no mode: {}", word, modes)};
}

std::uint32_t in_flight_of(const Call& call) {
    const auto number = call.number("in-flight", 1);
    if (number < 1 || number > most_in_flight)
        throw Failure{EINVAL,
                      fmt::format("--in-flight must be from 1 to {}, not {}", most_in_flight, number)};
    return static_cast<std::uint32_t>(number);
}

void refuse_for_a_redirect_alone(const Call& call) {
    for (const char* name : {"rate", "in-flight", "auto-cutover", "record", "no-record"})
        if (call.given(name))
            throw Failure{EINVAL, fmt::format("--{} is for migrations: with --mode {} nothing is copied",
                                              name, call.text("mode"))};
}

/// A node, or the kernel's name.
std::string node_of(const std::string& text) {
    return text.starts_with('/') ? text : "/dev/" + text;
}

Place place_of(const Call& call, const Roots& roots) {
    if (call.given("record") && call.boolean("no-record"))
        throw Failure{EINVAL, "--record and --no-record exclude each other"};
    if (call.boolean("no-record"))
        return {.kind = Place::Kind::none};
    return call.given("record") ? place_at(call.text("record"), roots) : Place{};
}

} // namespace

Source source_of(const Call& call) {
    return {.id = value_of(blkfilter::DeviceId::from_path("/dev/" + call.device())), .name = call.device()};
}

Wish wish_of(const Call& call, const Roots& roots) {
    Wish wish{.request = {.target = node_of(call.text("target")),
                          .mode = mode_of(call.text("mode", "write-blocking"))}};
    wish.request.no_atomic_writes = call.boolean("no-atomic-writes");
    if (wish.request.mode == Mode::only) {
        refuse_for_a_redirect_alone(call);
        wish.place.kind = Place::Kind::none;
        wish.request.interposes = call.text("mode") == interpose;
        return wish;
    }
    wish.request.bytes_per_second = call.number("rate", 0);
    if (call.given("in-flight"))
        wish.request.in_flight = in_flight_of(call);
    wish.place = place_of(call, roots);
    wish.cuts_over_itself = call.boolean("auto-cutover");
    return wish;
}

blkfilter::redirect::Settings settings_of(const Call& call) {
    blkfilter::redirect::Settings settings{.bytes_per_second = call.number("rate")};
    if (call.given("in-flight"))
        settings.in_flight = in_flight_of(call);
    return settings;
}

void expect_attached(const Redirection& redirection, const Source& source) {
    const auto status = redirection.status();
    if (!status && status.error().code == ENOENT)
        throw Failure{ENOENT, fmt::format("{} has no filter redirect: declare it in the configuration, or "
                                          "filterctl stack attach {} redirect",
                                          source.name, source.name)};
    if (!status)
        throw Failure{status.error().code, status.error().message};
}

} // namespace filterd::redirects
