// SPDX-License-Identifier: MIT
#include "backup/snapshots.hpp"

#include <algorithm>
#include <fmt/format.h>

namespace filterctl::backup {

namespace {

Json request_of(const char* command, const std::string& snapshot) {
    return {{"command", command}, {"arguments", {{"snapshot", snapshot}}}};
}

Image image_of(const Json& record) {
    return {.device = text_of(record, "device"),
            .path = text_of(record, "image"),
            .error = text_of(record, "error"),
            .base = Base::parse(text_of(record, "base")).value_or(Base{})};
}

} // namespace

Result<Json> SnapshotClient::create(const std::string& label, const std::vector<std::string>& devices,
                                    const std::string& group) const {
    Json request{{"command", "create"}, {"arguments", {{"label", label}}}};
    if (!group.empty())
        request["group"] = group;
    else
        request["devices"] = devices;
    const auto reply = plugin_.ask_once(std::move(request));
    if (!reply)
        return pass_on(reply);
    const auto& records = list_of(*reply, "records");
    return records.empty() ? Json{} : records.front();
}

Result<bool> SnapshotClient::is_any_being_made() const {
    const auto reply = session_->ask_again("jobs", Json::object(), for_ever);
    if (!reply)
        return pass_on(reply);
    return std::ranges::any_of(list_of(*reply, "jobs"), [](const Json& job) {
        return text_of(job, "what") == "snapshot create" && text_of(job, "state") == "running";
    });
}

Result<void> SnapshotClient::destroy(const std::string& snapshot) const {
    return plugin_.ask(request_of("destroy", snapshot), [](const Json&) {});
}

Result<std::vector<Image>> SnapshotClient::images(const std::string& snapshot) const {
    std::vector<Image> images;
    const auto asked = plugin_.ask(request_of("images", snapshot), [&](const Json& page) {
        for (const auto& record : list_of(page, "records"))
            images.push_back(image_of(record));
    });
    if (!asked)
        return pass_on(asked);
    for (const auto& image : images)
        if (image.base.size_bytes == 0)
            return fail("failed",
                        fmt::format("snapshot {} of {}: the plugin says no base", snapshot, image.device));
    return images;
}

Result<std::vector<ByteRange>> SnapshotClient::changes(const std::string& snapshot, const std::string& device,
                                                       const Base& base) const {
    auto request = request_of("changes", snapshot);
    request["arguments"]["device"] = device;
    request["arguments"]["base"] = base.to_string();
    return plugin_.ask_ranges(std::move(request));
}

Result<std::string> SnapshotClient::extent_list(const std::string& snapshot, const std::string& device,
                                                const std::string& base) const {
    auto request = request_of("changes", snapshot);
    request["arguments"]["device"] = device;
    request["arguments"]["base"] = base;
    request["arguments"]["format"] = "nbdkit";
    std::string text;
    const auto asked =
        plugin_.ask(std::move(request), [&](const Json& page) { text += text_of(page, "text"); });
    return asked ? Result<std::string>{std::move(text)} : pass_on(asked);
}

Result<Image> find_image(const std::vector<Image>& images, const std::string& snapshot,
                         const std::string& device) {
    const auto found = device.empty() && images.size() == 1
                           ? images.begin()
                           : std::ranges::find(images, device, &Image::device);
    if (found == images.end() && device.empty())
        return fail("invalid",
                    fmt::format("snapshot {} has {} devices: name one by --device", snapshot, images.size()));
    if (found == images.end())
        return fail("not-found", fmt::format("snapshot {} has no device '{}'", snapshot, device));
    if (!found->error.empty())
        return fail("failed", fmt::format("the image of {} is not to be used any more: {}", found->device,
                                          found->error));
    return *found;
}

} // namespace filterctl::backup
