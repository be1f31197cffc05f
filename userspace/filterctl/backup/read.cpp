// SPDX-License-Identifier: MIT
#include "backup/read.hpp"

#include "backup/program.hpp"

#include <blkfilter/file_descriptor.hpp>

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <fmt/format.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace filterctl::backup {

namespace fs = std::filesystem;
using blkfilter::FileDescriptor;

namespace {

/// The file itself, not yet what is behind it.
Result<void> check_file(const fs::path& file, const Copy& copy) {
    std::error_code error;
    const auto size = fs::file_size(file, error);
    if (error)
        return fail("failed", fmt::format("{}: {}", file.string(), error.message()));
    if (size != copy.file_bytes)
        return fail("failed", fmt::format("{}: is damaged: it has {} bytes, and had {}", file.string(), size,
                                          copy.file_bytes));
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

/// How large a block device is that nobody else uses.
Result<std::uint64_t> size_of_device(const fs::path& target) {
    const FileDescriptor file{::open(target.c_str(), O_RDWR | O_EXCL | O_CLOEXEC)};
    std::uint64_t bytes{};
    if (file.get() < 0 && errno == EBUSY)
        return fail("refused", fmt::format("{}: is in use: unmount it first", target.string()));
    if (file.get() < 0 || ioctl(file.get(), BLKGETSIZE64, &bytes) != 0)
        return fail("failed", fmt::format("{}: {}", target.string(), std::strerror(errno)));
    return bytes;
}

/// Whether there is a block device.
Result<bool> look_at_target(const RestoreRequest& request, std::uint64_t size_bytes) {
    struct stat status{};
    if (stat(request.target.c_str(), &status) != 0)
        return errno == ENOENT
                   ? Result<bool>{false}
                   : fail("failed", fmt::format("{}: {}", request.target.string(), std::strerror(errno)));
    if (!request.force)
        return fail("refused", fmt::format("{}: all that is there would be overwritten: --force",
                                           request.target.string()));
    if (S_ISREG(status.st_mode))
        return false;
    if (!S_ISBLK(status.st_mode))
        return fail("invalid", fmt::format("{}: neither a block device nor a file", request.target.string()));
    const auto has = size_of_device(request.target);
    if (!has)
        return pass_on(has);
    if (*has < size_bytes)
        return fail("failed", fmt::format("{}: has {} bytes, and {} had {}", request.target.string(), *has,
                                          request.device, size_bytes));
    return true;
}

Result<void> sync_file(const fs::path& target) {
    const FileDescriptor file{::open(target.c_str(), O_RDWR | O_CLOEXEC)};
    if (file.get() < 0 || fsync(file.get()) != 0)
        return fail("failed", fmt::format("{}: {}", target.string(), std::strerror(errno)));
    return {};
}

/// Both paths begin with '/': qemu-img takes others for options, and for protocols.
Result<void> convert(const fs::path& from, const fs::path& to, bool is_there) {
    std::vector<std::string> words{"qemu-img", "convert", "-f", "qcow2", "-O", "raw"};
    if (is_there)
        words.emplace_back("-n");
    words.insert(words.end(), {from.string(), to.string()});
    if (const auto converted = run_program(words); !converted)
        return pass_on(converted);
    return sync_file(to);
}

/// The file has its name when all of it is on the disk.
Result<void> convert_into_file(const fs::path& from, const fs::path& target) {
    auto partial = target;
    partial += ".partial";
    std::error_code error;
    auto done = convert(from, partial, false);
    if (done) {
        fs::rename(partial, target, error);
        if (!error)
            return sync_folder(target.parent_path());
        done = fail("failed", fmt::format("{}: {}", target.string(), error.message()));
    }
    fs::remove(partial, error);
    return done;
}

} // namespace

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

Result<void> restore(const Store& store, const RestoreRequest& request,
                     const std::function<void(const std::string&)>& told) {
    const auto manifest = store.read(request.number);
    if (!manifest)
        return pass_on(manifest);
    const auto* copy = manifest->find(request.device);
    if (!copy)
        return fail("not-found", fmt::format("backup {} has no device '{}'", request.number, request.device));
    const auto is_device = look_at_target(request, copy->base.size_bytes);
    if (!is_device)
        return pass_on(is_device);
    if (auto verified = verify(store, request.number, told); !verified)
        return verified;
    told(request.target.string());
    const auto from = store.folder_of(request.number) / copy->file;
    const auto target = fs::absolute(request.target);
    return *is_device ? convert(from, target, true) : convert_into_file(from, target);
}

} // namespace filterctl::backup
