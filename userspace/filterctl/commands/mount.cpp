// SPDX-License-Identifier: MIT
#include "commands/mount.hpp"

#include <array>
#include <fmt/format.h>
#include <libmount/libmount.h>
#include <memory>

namespace filterctl {

namespace {

std::string view_of(const Json& mounted) {
    return fmt::format("{} is mounted on {} as {}, {}\n", text_of(mounted, "source"),
                       text_of(mounted, "folder"), text_of(mounted, "type"), text_of(mounted, "options"));
}

/// Mounts, with a loop device where the options want one: it goes when it is unmounted.
Result<void> mount(const MountPlan& plan, const std::string& folder) {
    const std::unique_ptr<libmnt_context, decltype(&mnt_free_context)> context{mnt_new_context(),
                                                                               mnt_free_context};

    if (!context || mnt_context_set_source(context.get(), plan.source.c_str()) != 0 ||
        mnt_context_set_target(context.get(), folder.c_str()) != 0 ||
        mnt_context_set_fstype(context.get(), plan.type.c_str()) != 0 ||
        mnt_context_set_options(context.get(), plan.options.c_str()) != 0)
        return fail("failed", "no memory to mount with");
    const int status = mnt_context_mount(context.get());
    std::array<char, 512> why{};
    const int code = mnt_context_get_excode(context.get(), status, why.data(), why.size());
    if (code == 0)
        return {};
    return fail("failed", fmt::format("{}: cannot be mounted on {} as {}, {}: {}", plan.source, folder,
                                      plan.type, plan.options, why.data()));
}

} // namespace

Result<MountPlan> mount_plan_of(const Json& answer) {
    const auto& records = list_of(answer, "records");
    if (records.size() != 1 || text_of(records[0], "source").empty() || text_of(records[0], "type").empty())
        return fail("failed", "the plugin does not say what is to be mounted");
    const auto& record = records[0];
    MountPlan plan{.source = text_of(record, "source"),
                   .type = text_of(record, "type"),
                   .options = text_of(record, "options")};
    // A part that begins at 0 is one too, when its end is given.
    if (const auto size = number_of(record, "size"); size != 0)
        plan.options += fmt::format("{}loop,offset={},sizelimit={}", plan.options.empty() ? "" : ",",
                                    number_of(record, "offset"), size);
    return plan;
}

Result<ExitCode> run_mount_command(Session& session, const Json& request, const std::string& folder) {
    const auto reply = session.ask("command", request, a_while);
    if (!reply)
        return std::unexpected(reply.error());
    const auto plan = mount_plan_of(*reply);
    if (!plan)
        return std::unexpected(plan.error());
    if (const auto mounted = mount(*plan, folder); !mounted)
        return std::unexpected(mounted.error());
    session.show(
        {{"source", plan->source}, {"folder", folder}, {"type", plan->type}, {"options", plan->options}},
        view_of);
    return ExitCode::done;
}

} // namespace filterctl
