// SPDX-License-Identifier: MIT
#include "daemon/modules.hpp"

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <fmt/format.h>
#include <libkmod.h>
#include <memory>
#include <sys/utsname.h>
#include <system_error>

namespace filterd {

using blkfilter::Error;
using blkfilter::Result;

namespace {

std::unexpected<Error> failure(int code, const std::string& module) {
    utsname kernel{};
    static_cast<void>(uname(&kernel));
    if (code == ENOENT)
        return std::unexpected(Error{
            .code = code,
            .message =
                fmt::format("module {} is not installed for kernel {}: install it, and the kernel's headers "
                            "where it is built by DKMS",
                            module, kernel.release)});
    return std::unexpected(
        Error{.code = code,
              .message = fmt::format("module {} cannot be loaded: {}; see dmesg, and filterctl doctor",
                                     module, std::generic_category().message(code))});
}

/// However it was loaded: by hand from another folder, for instance.
bool is_loaded(std::string module) {
    std::ranges::replace(module, '-', '_');
    return std::filesystem::exists(std::filesystem::path{"/sys/module"} / module);
}

} // namespace

Result<void> KernelModules::load(const std::string& module) {
    if (is_loaded(module))
        return {};
    const std::unique_ptr<kmod_ctx, decltype(&kmod_unref)> context{kmod_new(nullptr, nullptr), kmod_unref};
    kmod_list* list = nullptr;
    if (!context)
        return failure(ENOMEM, module);
    if (const int result = kmod_module_new_from_lookup(context.get(), module.c_str(), &list); result < 0)
        return failure(-result, module);
    const std::unique_ptr<kmod_list, decltype(&kmod_module_unref_list)> owner{list, kmod_module_unref_list};
    if (!list)
        return failure(ENOENT, module);
    for (auto* at = list; at; at = kmod_list_next(list, at)) {
        const std::unique_ptr<kmod_module, decltype(&kmod_module_unref)> found{kmod_module_get_module(at),
                                                                               kmod_module_unref};
        const int result = kmod_module_probe_insert_module(found.get(), KMOD_PROBE_APPLY_BLACKLIST_ALIAS_ONLY,
                                                           nullptr, nullptr, nullptr, nullptr);
        if (result < 0)
            return failure(-result, module);
    }
    return {};
}

} // namespace filterd
