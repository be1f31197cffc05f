// SPDX-License-Identifier: MIT
#include "doctor/system.hpp"

#include "client/client.hpp"

#include <blkfilter/control.hpp>
#include <blkfilter/file_descriptor.hpp>

#include <array>
#include <cerrno>
#include <fcntl.h>
#include <libkmod.h>
#include <memory>
#include <string_view>
#include <sys/utsname.h>
#include <unistd.h>

namespace filterctl {

namespace {

struct Release {
    void operator()(kmod_ctx* context) const { kmod_unref(context); }
    void operator()(kmod_module* module) const { kmod_module_unref(module); }
};

/// A list of modules, or of what is known of one.
class KmodList {
public:
    explicit KmodList(void (*release)(kmod_list*)) : release_{release} {}
    KmodList(const KmodList&) = delete;
    KmodList& operator=(const KmodList&) = delete;
    ~KmodList() { release_(list_); }

    kmod_list** out() { return &list_; }
    [[nodiscard]] kmod_list* get() const { return list_; }

private:
    kmod_list* list_{};
    void (*release_)(kmod_list*);
};

void release_modules(kmod_list* list) {
    kmod_module_unref_list(list);
}

std::string signer_of(const kmod_module* module) {
    KmodList info{kmod_module_info_free_list};
    kmod_module_get_info(module, info.out());
    for (auto* entry = info.get(); entry; entry = kmod_list_next(info.get(), entry))
        if (std::string_view{kmod_module_info_get_key(entry)} == "signer")
            return kmod_module_info_get_value(entry);
    return {};
}

} // namespace

std::string RealSystem::kernel_release() const {
    utsname names{};
    return ::uname(&names) == 0 ? names.release : "";
}

std::expected<std::string, int> RealSystem::read(const std::string& path) const {
    const blkfilter::FileDescriptor file{::open(path.c_str(), O_RDONLY | O_CLOEXEC)};
    if (file.get() < 0)
        return std::unexpected(errno);
    std::string text;
    std::array<char, 1U << 14> part;
    for (;;) {
        const auto size = ::read(file.get(), part.data(), part.size());
        if (size == 0)
            return text;
        if (size < 0)
            return std::unexpected(errno);
        text.append(part.data(), static_cast<std::size_t>(size));
    }
}

std::optional<InstalledModule> RealSystem::module(const std::string& name) const {
    const std::unique_ptr<kmod_ctx, Release> context{kmod_new(nullptr, nullptr)};
    KmodList found{release_modules};
    if (!context || kmod_module_new_from_lookup(context.get(), name.c_str(), found.out()) != 0 ||
        !found.get())
        return {};
    const std::unique_ptr<kmod_module, Release> module{kmod_module_get_module(found.get())};
    const auto* file = kmod_module_get_path(module.get());
    if (file)
        return InstalledModule{.file = file, .signer = signer_of(module.get())};
    if (kmod_module_get_initstate(module.get()) == KMOD_MODULE_BUILTIN)
        return InstalledModule{};
    return {};
}

blkfilter::Result<blkfilter::Version> RealSystem::control() const {
    const auto control = blkfilter::Control::open();
    if (!control)
        return std::unexpected(control.error());
    return control->version();
}

Result<RunningDaemon> RealSystem::daemon() const {
    constexpr std::chrono::seconds limit{2};
    auto client = Client::connect(socket_, limit);
    if (!client)
        return std::unexpected(std::move(client.error()));
    RunningDaemon daemon{.version = client->version()};
    // Who it is suffices; what its plugins want is good to know.
    if (const auto reply = client->call("plugins", Json::object(), std::chrono::steady_clock::now() + limit))
        for (const auto& plugin : list_of(*reply, "plugins"))
            if (auto module = text_of(plugin, "module"); !module.empty())
                daemon.modules.push_back(std::move(module));
    return daemon;
}

} // namespace filterctl
