// SPDX-License-Identifier: MIT
/// @file
/// filterd's plugin for the filter redirect: filterctl redirect.
#include "answers.hpp"
#include "request.hpp"
#include "statics.hpp"
#include "verify.hpp"

#include "../called.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fmt/format.h>
#include <memory>
#include <mutex>
#include <thread>

namespace filterd::redirects {

namespace {

using namespace std::chrono_literals;
using blkfilter::redirect::State;
using CalledRedirection = Called<Redirection>;

/// Whoever asks calls again after this.
constexpr std::chrono::minutes most_of_a_call{50};
constexpr std::chrono::milliseconds pause_between_looks = 300ms;

Surroundings with_state_folder() {
    Surroundings around;
    if (const auto folder = state_folder())
        around.state_folder = *folder;
    return around;
}

class Redirect final : public Plugin {
public:
    static constexpr const char* noun = "redirect";
    static constexpr std::uint32_t flags = FILTERD_KEEPS_HISTORY;
    static constexpr std::uint32_t kernel_least = 1;
    static constexpr const char* config_schema = R"({
        "type": "object",
        "properties": {
            "target": {"description": "A block device to which all I/O goes, without anything being copied.", "type": "string", "pattern": "^/dev/"}
        }
    })";

    /// What an earlier filterd has left is taken on at once; see the plugin blksnap.
    Redirect() {
        if (state_folder())
            migrations();
    }

    /// The filter has none: where it is redirected to is no property of the attachment.
    std::string options(const Config& config) override {
        if (const auto target = config["target"].text(); target && !target->starts_with("/dev/"))
            config["target"].error("'target' must be a path in /dev, not '" + *target + "'");
        return "";
    }

    void attached(Call& call) override {
        migrations().look_again();
        if (const auto target = call.setting("filter.target"))
            statics_.want(source_of(call), *target);
    }

    void status(Call& call) override {
        const CalledRedirection redirection{call};
        call.answer(line_of(migrations().view(*redirection, source_of(call)), roots()).dump());
    }

    void event(Call& call, std::uint64_t value, std::span<const std::byte> data) override {
        call.answer(change_of(value, data).dump());
    }

    void start(Call& call) {
        const auto source = source_of(call);
        const CalledRedirection redirection{call};
        if (const auto cursor = call.cursor())
            return follow(call, *redirection, source, value_of(blkfilter::Uuid::parse(*cursor)));
        auto wish = wish_of(call, roots());
        const auto id = wish.request.id;
        expect_attached(*redirection, source);
        migrations().start(*redirection, source, std::move(wish));
        follow_or_not(call, *redirection, source, id);
    }

    void go_on(Call& call) {
        const auto source = source_of(call);
        const CalledRedirection redirection{call};
        if (const auto cursor = call.cursor())
            return follow(call, *redirection, source, value_of(blkfilter::Uuid::parse(*cursor)));
        expect_attached(*redirection, source);
        if (const auto id = migrations().go_on(*redirection, source))
            follow_or_not(call, *redirection, source, *id);
        else
            call.answer(line_of(migrations().view(*redirection, source), roots()).dump());
    }

    void show(Call& call) {
        const auto source = source_of(call);
        const CalledRedirection redirection{call};
        expect_attached(*redirection, source);
        call.answer(details_of(migrations().view(*redirection, source), roots()).dump());
    }

    void list(Call& call) {
        const auto control = value_of(migrations().surroundings().control());
        for (const auto& device : value_of(control.devices())) {
            try {
                const auto view = migrations().view(Redirection{control, device.device},
                                                    {.id = device.device, .name = device.name});
                call.answer(line_of(view, roots()).dump());
            } catch (const Failure& failure) {
                // It has other filters, or has just gone.
                if (failure.code() != ENOENT && failure.code() != ENODEV)
                    throw;
            }
        }
    }

    void pause(Call& call) {
        expect_done(CalledRedirection { call } -> pause());
    }
    void resume(Call& call) {
        expect_done(CalledRedirection { call } -> resume());
    }
    void set_rate(Call& call) {
        const CalledRedirection redirection{call};
        migrations().set(*redirection, settings_of(call));
    }

    void cancel(Call& call) {
        const auto source = source_of(call);
        const CalledRedirection redirection{call};
        if (!migrations().cancel(*redirection, source))
            log(FILTERD_NOTICE, fmt::format("{}: its migration is forgotten", source.name));
    }

    void verify(Call& call) {
        const CalledRedirection redirection{call};
        answer_verify(call, *redirection);
    }

    void cut_over(Call& call) {
        const auto source = source_of(call);
        const CalledRedirection redirection{call};
        const std::chrono::milliseconds limit{call.number("limit", 0)};
        const std::chrono::seconds wait{call.number("wait", 0)};
        std::ignore = migrations().cut_over(*redirection, source, {.held = limit, .dirty = wait});
        call.answer(details_of(migrations().view(*redirection, source), roots()).dump());
    }

    void finish(Call& call) {
        const auto source = source_of(call);
        const CalledRedirection redirection{call};
        using blkfilter::redirect::Freeze;
        const auto freeze = call.boolean("no-freeze") ? Freeze::no : Freeze::yes;
        if (!migrations().finish(*redirection, source, freeze))
            log(FILTERD_NOTICE, fmt::format("{}: it is known that its data is old", source.name));
    }

    void below(Call& call) {
        const auto source = source_of(call);
        const CalledRedirection redirection{call};
        expect_attached(*redirection, source);
        if (call.boolean("withdraw"))
            expect_done(redirection->withdraw_below());
        else
            call.print(fmt::format("/dev/{}\n", value_of(redirection->below()).name));
    }

    static constexpr std::uint32_t positional = FILTERD_REQUIRED | FILTERD_POSITIONAL;
    static constexpr std::uint32_t changes = FILTERD_DEVICE | FILTERD_CHANGES;
    /// Each may wait for devices, or for hours.
    static constexpr std::uint32_t lasting = FILTERD_JOB | FILTERD_BESIDE;
    static constexpr Argument in_flight{
        .name = "in-flight", .description = "So many copies at a time, 1 to 64", .type = FILTERD_NUMBER};
    static constexpr Argument no_wait{
        .name = "no-wait", .description = "Return as soon as it has begun", .type = FILTERD_BOOLEAN};
    static constexpr Command<Redirect> commands[] = {
        {.name = "start",
         .description = "Copy a device to another one while it is in use, until both are the same",
         .flags = changes | lasting,
         .run = &Redirect::start,
         .arguments =
             {{.name = "target", .description = "A block device, which is overwritten", .flags = positional},
              {.name = "mode",
               .description =
                   "Writes wait for both; the target lags; nothing is copied and all I/O goes to the "
                   "target at once; or likewise, and the target lies on the device below",
               .type = FILTERD_CHOICE,
               .choices = modes},
              {.name = "rate", .description = "So much is copied in a second", .type = FILTERD_BYTES},
              in_flight,
              {.name = "record",
               .description = "Where the record is that a power loss needs: a device, whose first 64 KiB are "
                              "overwritten, or a file. Without it the 64 KiB of the target behind what the "
                              "source needs are overwritten"},
              {.name = "no-record",
               .description = "It is known that a power loss means starting again",
               .type = FILTERD_BOOLEAN},
              {.name = "no-atomic-writes",
               .description = "The target need not do the source's: they fail from now on",
               .type = FILTERD_BOOLEAN},
              {.name = "auto-cutover",
               .description = "Do not stop when it is ready: cut over",
               .type = FILTERD_BOOLEAN},
              no_wait}},
        {.name = "continue",
         .description = "Go on after a restart or a power loss, by the record",
         .flags = changes | lasting,
         .run = &Redirect::go_on,
         .arguments = {no_wait}},
        {.name = "status",
         .description = "Show how it is, and what a restart needs",
         .flags = FILTERD_DEVICE,
         .run = &Redirect::show},
        {.name = "list", .description = "List the devices that have the filter", .run = &Redirect::list},
        {.name = "pause",
         .description = "Leave the target alone",
         .flags = changes | lasting,
         .run = &Redirect::pause},
        {.name = "resume",
         .description = "Go on, also after errors of the target",
         .flags = changes,
         .run = &Redirect::resume},
        {.name = "set-rate",
         .description = "Copy so much in a second from now on",
         .flags = changes,
         .run = &Redirect::set_rate,
         .arguments = {{.name = "rate",
                        .description = "Bytes; 0: no limit",
                        .type = FILTERD_BYTES,
                        .flags = positional},
                       in_flight}},
        {.name = "verify",
         .description = "Compare source and target while both are in use",
         .flags = changes | lasting,
         .run = &Redirect::verify},
        {.name = "cutover",
         .description = "From now on all I/O goes to the target",
         .flags = changes | lasting,
         .run = &Redirect::cut_over,
         .arguments = {{.name = "limit",
                        .description = "Milliseconds for which I/O may be held, in each of two steps",
                        .type = FILTERD_NUMBER},
                       {.name = "wait",
                        .description = "Seconds to wait before that for what is dirty",
                        .type = FILTERD_NUMBER}}},
        {.name = "cancel",
         .description = "End a migration before its cut-over",
         .flags = changes | lasting,
         .run = &Redirect::cancel},
        {.name = "finish",
         .description = "End a redirect whose source nobody has open; what is on the source is old",
         .flags = changes | lasting,
         .run = &Redirect::finish,
         .arguments = {{.name = "no-freeze",
                        .description = "Of what is interposed: do not freeze file systems, when the target "
                                       "returns errors",
                        .type = FILTERD_BOOLEAN}}},
        {.name = "below",
         .description =
             "Offer a device below the filter, on which a target to be interposed can be built, and "
             "print its node",
         .flags = changes,
         .run = &Redirect::below,
         .arguments = {{.name = "withdraw", .description = "Take it away", .type = FILTERD_BOOLEAN}}}};

private:
    [[nodiscard]] const Roots& roots() { return migrations().surroundings().roots; }

    void follow_or_not(Call& call, const Redirection& redirection, const Source& source,
                       const blkfilter::Uuid& id) {
        if (call.boolean("no-wait"))
            call.answer(line_of(migrations().view(redirection, source), roots()).dump());
        else
            follow(call, redirection, source, id);
    }

    /// Until it is ready, or redirected when it goes on by itself.
    void follow(Call& call, const Redirection& redirection, const Source& source, const blkfilter::Uuid& id) {
        const auto until = std::chrono::steady_clock::now() + most_of_a_call;
        while (std::chrono::steady_clock::now() < until) {
            const auto view = migrations().view(redirection, source);
            const auto& status = view.status;
            if (status.id != id || status.state == State::concluded)
                throw Failure{ECANCELED, fmt::format("{}: it was cancelled", source.name)};
            if (status.state == State::failed)
                throw Failure{EIO,
                              fmt::format("{}: it has failed: {}", source.name, std::strerror(status.error))};
            if (status.state == State::redirected ||
                (status.state == State::ready && !(view.record && view.record->cuts_over_itself))) {
                constexpr std::uint32_t all = 1000;
                call.progress(all, std::string{to_string(status.state)});
                return call.answer(details_of(view, roots()).dump());
            }
            call.progress(thousandths_of(status),
                          view.trouble.empty() ? progress_text(status, view.outlook) : view.trouble);
            std::this_thread::sleep_for(pause_between_looks);
        }
        call.more(id.to_string());
    }

    /// From all of the plugin's threads.
    Migrations& migrations() {
        std::call_once(begun_, [this] {
            migrations_ = std::make_unique<Migrations>(with_state_folder());
            migrations_->adopt();
        });
        return *migrations_;
    }

    std::once_flag begun_;
    std::unique_ptr<Migrations> migrations_;
    Statics statics_{Surroundings{}};
};

} // namespace

} // namespace filterd::redirects

FILTERD_PLUGIN(filterd::redirects::Redirect, "redirect", "0.1.0",
               "Another device under a live one: migration and redirection", "redirect", "blkfilter-redirect")
