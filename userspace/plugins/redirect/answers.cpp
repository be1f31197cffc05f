// SPDX-License-Identifier: MIT
#include "answers.hpp"

#include "../json_text.hpp"

#include <linux/blkfilter-redirect.h>

#include <algorithm>
#include <cstring>
#include <fmt/format.h>

namespace filterd::redirects {

namespace redirect = blkfilter::redirect;
using redirect::State;
using redirect::Status;

namespace {

Json error_text(std::uint32_t code) {
    return code == 0 ? Json{} : Json(std::strerror(static_cast<int>(code)));
}

/// By a name that lasts; nothing when nothing was started.
std::string target_of(const Status& status, const Roots& roots) {
    return status.id.is_null() ? "" : lasting_name(blkfilter::device_name(status.target), roots);
}

/// What was cut over in an earlier boot; NULL: nothing was.
const Record* cut_over_before(const View& view) {
    return view.before && !view.before->cut_over.empty() ? &*view.before : nullptr;
}

/// The device that has what was written last.
std::string current_of(const View& view, const Roots& roots) {
    const auto& status = view.status;
    if (status.state == State::redirected && status.is_unseen)
        return "neither: writes may have reached the source";
    // What is interposed lies on the source.
    if (status.state == State::redirected && !status.is_interposed)
        return target_of(status, roots);
    const auto* const before = cut_over_before(view);
    return before ? before->target : lasting_name(view.source.name, roots);
}

/// What must be done before the machine is started again; empty: nothing.
std::string reboot_of(const View& view, const Roots& roots, bool has_lines) {
    const auto source = lasting_name(view.source.name, roots);
    const auto& status = view.status;
    if (status.state != State::redirected) {
        const auto* const before = cut_over_before(view);
        return before ? fmt::format("the data of {} is of {}: {} has what was written since", source,
                                    before->cut_over, before->target)
                      : "";
    }
    if (status.is_interposed)
        return fmt::format("build {} on the device below and interpose it again, where it is needed",
                           target_of(status, roots));
    if (status.mode == redirect::Mode::only || status.target_sector != 0)
        return fmt::format("begin the redirect to {} again before anything opens {}",
                           target_of(status, roots), source);
    return fmt::format(
        "{} {}, and remove the signatures of {} (wipefs) when it is closed: its UUID and label are "
        "on both",
        has_lines ? "put the line 'fstab' into /etc/fstab, for"
                  : "name in /etc/fstab and wherever else it is opened, instead of " + source + ",",
        target_of(status, roots), source);
}

std::string_view mode_of(const Status& status) {
    return status.is_interposed ? "interpose" : to_string(status.mode);
}

/// Where the kernel's record is.
std::string record_of(const Status& status, const Roots& roots) {
    if (!status.record)
        return status.mode == redirect::Mode::only || status.id.is_null()
                   ? ""
                   : "none: a restart before the cut-over means starting again";
    const auto name = blkfilter::device_name(status.record->device);
    const auto sector = status.record->sector;
    return sector == 0 ? text_of_record_device(name, roots)
                       : fmt::format("{}, from byte {} on", lasting_name(name, roots),
                                     sector * blkfilter::sector_bytes);
}

void add_record(Json& json, const Status& status, const Roots& roots) {
    const auto record = status.record.value_or(redirect::RecordStatus{});
    json["record"] = text_or_null(record_of(status, roots));
    json["record_marked_bytes"] = status.record ? Json(record.marked_bytes) : Json{};
    json["record_error"] = error_text(static_cast<std::uint32_t>(record.error));
    json["record_behind"] = record.is_behind
                                ? Json("the source was written to and the record does not say so: were the "
                                       "power lost now, it must not be continued")
                                : Json{};
    json["continued"] = status.is_continued;
}

double milliseconds(std::chrono::nanoseconds time) {
    return std::chrono::duration<double, std::milli>{time}.count();
}

} // namespace

Json line_of(const View& view, const Roots& roots) {
    const auto& status = view.status;
    return {{"source", view.source.name},
            {"state", to_string(status.state)},
            {"target", text_or_null(target_of(status, roots))},
            {"mode", status.id.is_null() ? Json{} : Json(mode_of(status))},
            {"total_bytes", status.total_bytes},
            {"copied_bytes", status.copied_bytes},
            {"remaining_bytes", status.remaining_bytes},
            {"dirtied_bytes", status.dirtied_bytes},
            {"bytes_per_second", view.outlook.bytes_per_second},
            {"outlook", to_string(view.outlook.kind)},
            {"seconds_left", view.outlook.left ? Json(view.outlook.left->count()) : Json{}},
            {"current", current_of(view, roots)}};
}

Json details_of(const View& view, const Roots& roots) {
    const auto& status = view.status;
    auto json = line_of(view, roots);
    auto fstab = Json::array();
    if (status.state == State::redirected && !status.is_interposed)
        for (const auto& line :
             fstab_lines(view.source.id.number(), view.source.name, target_of(status, roots), roots))
            fstab.push_back(line);
    json["progress"] = progress_text(status, view.outlook);
    json["auto_cutover"] = view.record && view.record->cuts_over_itself;
    json["trouble"] = text_or_null(view.trouble);
    json["error"] = error_text(static_cast<std::uint32_t>(status.error));
    add_record(json, status, roots);
    json["mirrored_bytes"] = status.mirrored_bytes;
    json["rate"] = status.bytes_per_second;
    json["in_flight"] = status.in_flight;
    json["copies"] = status.copies;
    json["writes_waited"] = status.waited;
    json["target_errors"] = status.target_errors;
    json["attempts"] = status.attempts;
    json["sends_fua"] = status.sends_fua;
    json["held_ms"] = status.held.count() == 0 ? Json{} : Json(milliseconds(status.held));
    json["started"] = view.record ? Json(view.record->started) : Json{};
    json["cut_over"] =
        view.record && status.state == State::redirected ? Json(view.record->cut_over) : Json{};
    json["reboot"] = text_or_null(reboot_of(view, roots, !fstab.empty()));
    json["fstab"] = std::move(fstab);
    return json;
}

Json change_of(std::uint64_t value, std::span<const std::byte> data) {
    blkfilter_redirect_change change{};
    std::memcpy(&change, data.data(), std::min(data.size(), sizeof(change)));
    const auto state = static_cast<State>(value);
    const bool is_unseen = state == State::redirected && change.error != 0;
    return {{"state", to_string(state)},
            {"from", to_string(static_cast<State>(change.from))},
            {"error", is_unseen ? Json("writes may have reached the source") : error_text(change.error)}};
}

} // namespace filterd::redirects
