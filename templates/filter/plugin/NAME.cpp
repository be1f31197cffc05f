// SPDX-License-Identifier: MIT
/// @file
/// filterd's plugin for @NAME@: filterctl @NAME@ writes DEVICE.
#include <filterd/plugin.hpp>

#include <cstdint>
#include <string>

namespace {

class Counter final : public filterd::Plugin {
public:
    /// The module takes none. A key of the filter in the YAML file is read so: config["level"].number(1, 9)
    std::string options(const filterd::Config&) override { return {}; }

    void writes(filterd::Call& call) {
        std::uint64_t writes{};
        call.control(0, writes);
        call.answer(filterd::Record{}.add("writes", writes));
    }

    /// In filterctl status --json.
    void status(filterd::Call& call) override { writes(call); }

    static constexpr filterd::Command<Counter> commands[] = {
        {.name = "writes",
         .description = "Show how many writes there have been since the filter was attached",
         .flags = FILTERD_DEVICE,
         .run = &Counter::writes}};
};

} // namespace

FILTERD_PLUGIN(Counter, "@NAME@", "0.1", "Counts the writes of a device", "@NAME@", "@NAME@")
