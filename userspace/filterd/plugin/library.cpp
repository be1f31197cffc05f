// SPDX-License-Identifier: MIT
#include "plugin/library.hpp"

#include "plugin/commands.hpp"
#include "plugin/host.hpp"

#define BOOST_DLL_USE_STD_FS
#include <boost/dll/shared_library.hpp>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <dlfcn.h>
#include <fmt/format.h>
#include <sys/stat.h>

namespace filterd::plugin {

using blkfilter::Error;
using blkfilter::Result;

namespace {

constexpr const char* entry_point = "filterd_plugin_entry";
/// As of the first interface.
constexpr std::size_t size_of_first = offsetof(filterd_plugin, describe) + sizeof(filterd_plugin::describe);

std::unexpected<Error> refused(const std::filesystem::path& file, std::string_view why) {
    return std::unexpected(Error{.code = EINVAL, .message = fmt::format("{}: {}", file.string(), why)});
}

/// Why nobody but root shall have written it; empty when that is so.
std::string check_trust(const std::filesystem::path& path) {
    struct stat status{};
    if (stat(path.c_str(), &status) != 0)
        return std::strerror(errno);
    if (status.st_uid != 0)
        return "does not belong to root";
    if ((status.st_mode & (S_IWGRP | S_IWOTH)) != 0)
        return "others than root may write it: chmod go-w";
    return {};
}

/// The whole text of the loader, which only the throwing function has.
Result<const filterd_plugin*> open(const std::filesystem::path& file) {
    using boost::dll::load_mode::type;
    try {
        const auto mode =
            static_cast<type>(static_cast<unsigned>(boost::dll::load_mode::rtld_now) | RTLD_NODELETE);
        const boost::dll::shared_library library{std::filesystem::absolute(file), mode};
        if (!library.has(entry_point))
            return refused(file,
                           fmt::format("is no plugin of filterd: it exports no function {}()", entry_point));
        const auto* plugin = library.get<const filterd_plugin*()>(entry_point)();
        if (!plugin)
            return refused(file, fmt::format("{}() returned nothing", entry_point));
        return plugin;
    } catch (const std::exception& error) {
        return refused(file, fmt::format("cannot be loaded: {}", error.what()));
    }
}

std::string missing_field(const filterd_plugin& plugin) {
    const std::pair<const void*, const char*> needed[] = {
        {plugin.name, "name"},
        {plugin.version, "version"},
        {plugin.description, "description"},
        {plugin.filter, "filter"},
        {plugin.module, "module"},
        {reinterpret_cast<const void*>(plugin.options), "options"}};
    for (const auto& [value, name] : needed)
        if (!value)
            return name;
    return {};
}

/// Copies what both sides know; the rest is zero.
Result<filterd_plugin> copy(const std::filesystem::path& file, const filterd_plugin& from) {
    filterd_plugin plugin{};
    if (from.interface != FILTERD_PLUGIN_INTERFACE)
        return refused(file, fmt::format("was built for plugin interface {}, this filterd has {}: {}",
                                         from.interface, FILTERD_PLUGIN_INTERFACE,
                                         from.interface > FILTERD_PLUGIN_INTERFACE ? "upgrade filterd"
                                                                                   : "rebuild the plugin"));
    if (from.size < size_of_first || from.size > Sink::most_bytes)
        return refused(file,
                       fmt::format("says that its structure has {} bytes, which no plugin's has", from.size));
    std::memcpy(&plugin, &from, std::min<std::size_t>(from.size, sizeof(plugin)));
    if (const auto field = missing_field(plugin); !field.empty())
        return refused(file, fmt::format("lacks '{}'", field));
    return plugin;
}

} // namespace

std::optional<std::string> plugin_name(const std::filesystem::path& file) {
    constexpr std::string_view prefix = "filterd-";
    const auto stem = file.stem().string();
    if (file.extension() != ".so" || !stem.starts_with(prefix) || stem.size() == prefix.size())
        return {};
    return stem.substr(prefix.size());
}

Result<Loaded> Loaded::load(const std::filesystem::path& file, bool trusted) {
    const auto name = plugin_name(file);
    if (!name)
        return refused(file, "is not called filterd-NAME.so");
    if (!std::filesystem::is_regular_file(file))
        return refused(file, "is not there");
    if (const auto why = trusted ? check_trust(file) : ""; !why.empty())
        return refused(file, why);
    const auto opened = open(file);
    if (!opened)
        return std::unexpected(opened.error());
    const auto plugin = copy(file, **opened);
    if (!plugin)
        return std::unexpected(plugin.error());
    if (const auto wrong = wrong_with_commands(*plugin); !wrong.empty())
        return refused(file, wrong);
    if (*name != plugin->name)
        return refused(
            file, fmt::format("calls itself '{}': it must be filterd-{}.so", plugin->name, plugin->name));
    if (plugin->load && plugin->load(&services()) != 0)
        return refused(file, "does not want to be loaded, see above");
    return Loaded{*plugin};
}

std::optional<std::string> Loaded::options(const config::Filter& filter,
                                           config::Diagnostics& diagnostics) const {
    Values values{diagnostics, filter.position};
    Sink sink;
    const auto before = diagnostics.errors();
    const int result = plugin_.options(values.mapping(filter.options), sink.handle());
    values.refuse_unknown(filter.name);
    if (sink.overflowed())
        diagnostics.error(filter.position, fmt::format("the plugin of '{}' answers with more than {} bytes",
                                                       filter.name, Sink::most_bytes));
    else if (result != 0 && diagnostics.errors() == before)
        diagnostics.error(
            filter.position,
            fmt::format("the plugin of '{}' refuses the filter and does not say why", filter.name));
    return diagnostics.errors() == before ? std::optional{sink.text()} : std::nullopt;
}

std::string Loaded::describe(std::string_view options) const {
    Sink sink;
    if (!plugin_.describe || plugin_.describe(options.data(), options.size(), sink.handle()) != 0)
        return std::string{options};
    return sink.text();
}

std::string Loaded::probe() const {
    Sink why;
    if (!plugin_.probe || plugin_.probe(why.handle()) == 0)
        return {};
    return why.text().empty() ? "its plugin says that it cannot be used here, and not why" : why.text();
}

} // namespace filterd::plugin
