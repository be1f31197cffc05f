// SPDX-License-Identifier: MIT
#include "backup/read.hpp"

#include "backup/program.hpp"

#include <fmt/format.h>

namespace filterctl::backup {

namespace fs = std::filesystem;

namespace {

Result<void> check_size(const fs::path& file, const Copy& copy) {
    std::error_code error;
    const auto size = fs::file_size(file, error);
    if (error)
        return fail("failed", fmt::format("{}: {}", file.string(), error.message()));
    if (size != copy.file_bytes)
        return fail("failed", fmt::format("{}: is damaged: it has {} bytes, and had {}", file.string(), size,
                                          copy.file_bytes));
    return {};
}

/// The file itself, not yet what is behind it.
Result<void> check_file(const fs::path& file, const Copy& copy) {
    if (auto checked = check_size(file, copy); !checked)
        return checked;
    const auto sum = sha256_of(file);
    if (!sum)
        return pass_on(sum);
    if (*sum != copy.sha256)
        return fail("failed", fmt::format("{}: is damaged: its checksum is another one", file.string()));
    if (const auto checked = run_program({"qemu-img", "check", "-q", "-f", "qcow2", file.string()}); !checked)
        return pass_on(checked);
    return {};
}

/// Its size, and that behind it is what the manifest says, and nothing else, and its data in it: a file of
/// somebody else's could name any other one.
Result<void> check_header(const fs::path& file, const Copy& copy, const std::string& behind) {
    const auto said = run_program({"qemu-img", "info", "--output=json", "-f", "qcow2", file.string()});
    if (!said)
        return pass_on(said);
    const auto info = Json::parse(*said, nullptr, false);
    if (number_of(info, "virtual-size") != copy.base.size_bytes)
        return fail("failed",
                    fmt::format("{}: is of a device of {} bytes, and {} has {}", file.string(),
                                number_of(info, "virtual-size"), copy.device, copy.base.size_bytes));
    if (text_of(info, "backing-filename") != behind)
        return fail("failed", fmt::format("{}: '{}' is behind it, where '{}' should be", file.string(),
                                          text_of(info, "backing-filename"), behind));
    const auto format = text_of(info, "backing-filename-format");
    if (!behind.empty() && format != "qcow2")
        return fail("failed", fmt::format("{}: what is behind it is said to be of format '{}', not 'qcow2'",
                                          file.string(), format));
    const auto elsewhere = text_of(member(member(info, "format-specific"), "data"), "data-file");
    if (!elsewhere.empty())
        return fail("failed", fmt::format("{}: its data is in another file, '{}'", file.string(), elsewhere));
    return {};
}

Result<void> verify_one(const Store& store, const Manifest& manifest, const Manifest* parent,
                        const std::function<void(const std::string&)>& told) {
    for (const auto& copy : manifest.devices) {
        const auto file = store.folder_of(manifest.number) / copy.file;
        const auto* before = parent ? parent->find(copy.device) : nullptr;
        if (parent && !before)
            return fail("failed", fmt::format("backup {} has no {}", parent->number, copy.device));
        const auto behind =
            before
                ? fmt::format("../{}/{}", store.folder_of(parent->number).filename().string(), before->file)
                : "";
        told(file.string());
        if (auto checked = check_header(file, copy, behind); !checked)
            return checked;
        if (auto checked = check_file(file, copy); !checked)
            return checked;
    }
    return {};
}

} // namespace

Result<void> check_files(const Store& store, const std::vector<Manifest>& chain) {
    for (const auto& manifest : chain)
        for (const auto& copy : manifest.devices)
            if (auto checked = check_size(store.folder_of(manifest.number) / copy.file, copy); !checked)
                return checked;
    return {};
}

Result<void> verify(const Store& store, std::uint64_t number,
                    const std::function<void(const std::string&)>& told) {
    const auto chain = store.chain(number);
    if (!chain)
        return pass_on(chain);
    const Manifest* parent = nullptr;
    for (const auto& manifest : *chain) {
        if (auto verified = verify_one(store, manifest, parent, told); !verified)
            return verified;
        parent = &manifest;
    }
    return {};
}

} // namespace filterctl::backup
