// SPDX-License-Identifier: MIT
#include "request.hpp"

#include "../results.hpp"

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <fmt/format.h>
#include <memory>
#include <sys/stat.h>
#include <sys/statvfs.h>

namespace filterd::snapshots {

namespace {

constexpr std::uint64_t usual_step = 1024 * mebibyte;
constexpr std::uint64_t usual_limit_thousandths = 200;
constexpr std::uint64_t usual_warn_thousandths = 800;
constexpr std::uint64_t usual_hook_seconds = 30;
constexpr const char* usual_storage = "/var/lib/filterd/storage";

std::uint64_t number_of(const std::optional<std::string>& text, std::uint64_t otherwise) {
    std::uint64_t value{otherwise};
    if (text)
        std::from_chars(text->data(), std::to_address(text->end()), value);
    return value;
}

bool is_block_device(const std::string& path) {
    struct stat status{};
    return stat(path.c_str(), &status) == 0 && S_ISBLK(status.st_mode);
}

/// Of the file system that has the folder, which is made when it is not there.
std::uint64_t part_of_file_system(const std::string& folder, std::uint64_t thousandths) {
    std::filesystem::create_directories(folder);
    struct statvfs status{};
    if (statvfs(folder.c_str(), &status) != 0)
        throw Failure{errno, fmt::format("{}: cannot be asked how large its file system is", folder)};
    return status.f_frsize * status.f_blocks / 1000 * thousandths;
}

/// What the command says, else the configuration, else what is usual.
Policy policy_of(const Call& call) {
    const auto path = call.text("storage", call.setting("storage.path").value_or(usual_storage));
    if (!path.starts_with('/'))
        throw Failure{EINVAL, fmt::format("the storage '{}' must begin with '/'", path)};
    Policy policy{.path = path,
                  .is_device = is_block_device(path),
                  .step_bytes = call.number("step", number_of(call.setting("storage.step"), usual_step)),
                  .warn_thousandths = static_cast<std::uint32_t>(
                      number_of(call.setting("storage.warn-thousandths"), usual_warn_thousandths))};
    policy.step_bytes = std::max(policy.step_bytes, mebibyte);
    if (policy.is_device)
        return policy;
    if (call.given("limit") || call.setting("storage.limit"))
        policy.limit_bytes = call.number("limit", number_of(call.setting("storage.limit"), 0));
    else
        policy.limit_bytes = part_of_file_system(
            path, number_of(call.setting("storage.limit-thousandths"), usual_limit_thousandths));
    return policy;
}

Hooks hooks_of(const Call& call) {
    return {.before = call.setting("hooks.before").value_or(""),
            .after = call.setting("hooks.after").value_or(""),
            .seconds =
                static_cast<std::uint32_t>(number_of(call.setting("hooks.seconds"), usual_hook_seconds))};
}

std::vector<Member> members_of(const Call& call) {
    std::vector<Member> members;
    for (const auto& device : call.devices())
        members.push_back({.id = value_of(blkfilter::DeviceId::from_path("/dev/" + device.name)),
                           .name = device.name,
                           .declared = device.declared});
    return members;
}

std::string text_of(const Content& content) {
    return fmt::format("{} {}", content.partition, content.type.empty() ? "unknown" : content.type);
}

} // namespace

Content choose(const std::vector<Content>& all, const std::string& image, const Call& call) {
    if (all.size() == 1 && !call.given("partition"))
        return all.front();
    std::string known;
    for (const auto& content : all) {
        if (call.given("partition") && content.partition == call.number("partition"))
            return content;
        known += (known.empty() ? "" : ", ") + text_of(content);
    }
    throw Failure{EINVAL, fmt::format("{} has the partitions {}: name one by --partition", image, known)};
}

Request request_of(const Call& call) {
    return {.label = call.text("label", ""),
            .group = call.setting("group").value_or(""),
            .devices = members_of(call),
            .policy = policy_of(call),
            .hooks = hooks_of(call)};
}

bool is_label(const std::string& text) {
    constexpr std::size_t longest = 63;
    const auto is_alnum = [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
    };
    return !text.empty() && text.size() <= longest && is_alnum(text.front()) &&
           std::ranges::all_of(text, [&](char c) { return is_alnum(c) || c == '.' || c == '_' || c == '-'; });
}

void tell_apart(std::vector<Member>& devices) {
    const auto before = devices;
    for (auto& one : devices) {
        const bool is_alone = std::ranges::count(before, one.declared, &Member::declared) == 1;
        if (!is_alone || !is_label(one.declared))
            one.declared = one.name;
        std::ranges::replace(one.declared, '!', '-');
    }
}

const Member& member_of(const Record& record, const std::string& name) {
    const auto& devices = record.devices;
    if (name.empty() && devices.size() == 1)
        return devices.front();
    const auto found = std::ranges::find_if(
        devices, [&](const Member& one) { return one.declared == name || one.name == name; });
    if (found != devices.end() && !name.empty())
        return *found;
    throw name.empty() ? Failure{EINVAL, fmt::format("snapshot {} has {} devices: name one by --device",
                                                     record.label, devices.size())}
                       : Failure{ENOENT, fmt::format("snapshot {} has no device '{}'", record.label, name)};
}

} // namespace filterd::snapshots
