// SPDX-License-Identifier: MIT
#include "backup/store.hpp"

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <fcntl.h>
#include <fmt/format.h>
#include <memory>
#include <sys/file.h>

namespace filterctl::backup {

namespace fs = std::filesystem;

namespace {

constexpr std::string_view partial_suffix = ".partial";
constexpr const char* manifest_name = "manifest.json";
constexpr const char* state_name = "state.json";

/// All of the text, which has four digits at least.
std::optional<std::uint64_t> number_in(std::string_view name) {
    constexpr std::size_t least = 4;
    std::uint64_t number{};
    const auto* end = std::to_address(name.end());
    const auto [rest, error] = std::from_chars(std::to_address(name.begin()), end, number);
    const bool good = error == std::errc{} && rest == end && name.size() >= least && number != 0;
    return good ? std::optional{number} : std::nullopt;
}

} // namespace

Json to_json(const State& state) {
    return {
        {"label", state.label}, {"offset_bytes", state.offset_bytes}, {"manifest", to_json(state.manifest)}};
}

Result<State> state_of(const Json& json, const std::string& where) {
    // Interrupted before the snapshot was there.
    if (list_of(member(json, "manifest"), "devices").empty())
        return State{.manifest = {.number = number_of(member(json, "manifest"), "number")},
                     .label = text_of(json, "label")};
    auto manifest = manifest_of(member(json, "manifest"), where);
    if (!manifest)
        return pass_on(manifest);
    return State{.manifest = std::move(*manifest),
                 .label = text_of(json, "label"),
                 .offset_bytes = number_of(json, "offset_bytes")};
}

Result<Store> Store::open(const fs::path& folder, bool to_write) {
    blkfilter::FileDescriptor lock{::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
    if (lock.get() < 0)
        return fail(errno == ENOENT ? "not-found" : "failed",
                    fmt::format("{}: {}{}", folder.string(), std::strerror(errno),
                                errno == ENOENT ? ": make a folder for the backups first" : ""));
    // Whole backups do not change: whoever reads them needs no lock.
    if (to_write && flock(lock.get(), LOCK_EX | LOCK_NB) != 0)
        return fail("refused", fmt::format("{}: another filterctl works there now", folder.string()));
    Store store{fs::absolute(folder), std::move(lock)};
    store.look();
    return store;
}

void Store::look() {
    numbers_.clear();
    kept_.clear();
    partial_.reset();
    std::error_code error;
    for (auto at = fs::directory_iterator{folder_, error}; !error && at != fs::directory_iterator{};
         at.increment(error)) {
        auto name = at->path().filename().string();
        const bool is_partial = name.ends_with(partial_suffix);
        if (is_partial)
            name.resize(name.size() - partial_suffix.size());
        const auto number = number_in(name);
        if (number && is_partial)
            partial_ = number;
        else if (number)
            numbers_.push_back(*number);
        if (number && !is_partial && fs::exists(at->path() / state_name))
            kept_.push_back(*number);
    }
    std::ranges::sort(numbers_);
}

fs::path Store::folder_of(std::uint64_t number) const {
    return folder_ / fmt::format("{:04}", number);
}

fs::path Store::partial_folder_of(std::uint64_t number) const {
    return folder_ / fmt::format("{:04}{}", number, partial_suffix);
}

fs::path Store::manifest_of(std::uint64_t number) const {
    return folder_of(number) / manifest_name;
}

Result<Manifest> Store::read(std::uint64_t number) const {
    if (std::ranges::find(numbers_, number) == numbers_.end())
        return fail("not-found", fmt::format("{}: there is no backup {}", folder_.string(), number));
    const auto path = manifest_of(number);
    const auto json = read_json(path);
    if (!json)
        return pass_on(json);
    auto manifest = backup::manifest_of(*json, path.string());
    if (manifest && manifest->number != number)
        return fail("failed",
                    fmt::format("{}: is the manifest of backup {}", path.string(), manifest->number));
    return manifest;
}

Result<std::vector<Manifest>> Store::chain(std::uint64_t number) const {
    std::vector<Manifest> chain;
    for (std::optional<std::uint64_t> next = number; next; next = chain.front().parent) {
        auto manifest = read(*next);
        if (!manifest)
            return pass_on(manifest);
        if (!chain.empty()) {
            const auto sum = sha256_of(manifest_of(*next));
            if (!sum)
                return pass_on(sum);
            if (*sum != chain.front().parent_sha256)
                return fail("failed", fmt::format("{}: is not the one that backup {} was made on",
                                                  manifest_of(*next).string(), chain.front().number));
        }
        chain.insert(chain.begin(), std::move(*manifest));
    }
    return chain;
}

// --- what is not whole ---

Result<State> Store::read_state(const fs::path& folder) const {
    const auto path = folder / state_name;
    const auto json = read_json(path);
    return json ? state_of(*json, path.string()) : pass_on(json);
}

Result<State> Store::read_partial() const {
    if (!partial_)
        return fail("not-found", fmt::format("{}: no backup was interrupted there", folder_.string()));
    return read_state(partial_folder_of(*partial_));
}

Result<void> Store::write_partial(const State& state) {
    const auto folder = partial_folder_of(state.manifest.number);
    std::error_code error;
    const bool is_new = fs::create_directory(folder, error);
    if (error)
        return fail("failed", fmt::format("{}: {}", folder.string(), error.message()));
    partial_ = state.manifest.number;
    if (auto synced = is_new ? sync_folder(folder_) : Result<void>{}; !synced)
        return synced;
    return write_json(folder / state_name, to_json(state));
}

/// Its state stays, which leads to the snapshot.
Result<void> Store::complete(const Manifest& manifest) {
    const auto folder = partial_folder_of(manifest.number);
    if (auto written = write_json(folder / manifest_name, to_json(manifest)); !written)
        return written;
    std::error_code error;
    fs::rename(folder, folder_of(manifest.number), error);
    if (error)
        return fail("failed", fmt::format("{}: {}", folder.string(), error.message()));
    look();
    return sync_folder(folder_);
}

Result<State> Store::read_kept(std::uint64_t number) const {
    return read_state(folder_of(number));
}

Result<void> Store::forget(std::uint64_t number) {
    std::error_code error;
    fs::remove(folder_of(number) / state_name, error);
    if (error)
        return fail("failed", fmt::format("{}: {}", folder_of(number).string(), error.message()));
    look();
    return sync_folder(folder_of(number));
}

Result<void> Store::discard_partial() {
    if (partial_) {
        const auto partial = partial_folder_of(*partial_);
        std::error_code error;
        fs::remove_all(partial, error);
        if (error)
            return fail("failed", fmt::format("{}: {}", partial.string(), error.message()));
    }
    look();
    return sync_folder(folder_);
}

} // namespace filterctl::backup
