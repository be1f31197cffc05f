// SPDX-License-Identifier: MIT
/// @file
/// How the file of one device of a backup is made.
#include "backup/make.hpp"

#include "backup/program.hpp"
#include "client/progress.hpp"

#include <algorithm>
#include <chrono>
#include <fmt/format.h>

namespace filterctl::backup {

namespace fs = std::filesystem;

namespace {

std::uint64_t length_of(const std::vector<ByteRange>& ranges) {
    std::uint64_t length = 0;
    for (const auto& range : ranges)
        length += range.length;
    return length;
}

/// How far a device has come, with its rate.
class Display {
public:
    Display(Session& session, std::string device, std::uint64_t all_bytes)
        : display_{session.progress_display()}, device_{std::move(device)}, all_bytes_{all_bytes} {}

    void show(std::uint64_t copied_bytes) {
        const std::chrono::duration<double> past = std::chrono::steady_clock::now() - begin_;
        if (!first_bytes_)
            first_bytes_ = copied_bytes;
        const auto rate = static_cast<double>(copied_bytes - *first_bytes_) / std::max(past.count(), 0.001);
        display_.show({.job = 0,
                       .thousandths = all_bytes_ == 0 ? 1000 : copied_bytes * 1000 / all_bytes_,
                       .text = fmt::format("{} {:.0f} MiB/s", device_, rate / (1U << 20))});
    }

private:
    ProgressDisplay display_;
    std::string device_;
    std::uint64_t all_bytes_;
    std::optional<std::uint64_t> first_bytes_{};
    std::chrono::steady_clock::time_point begin_{std::chrono::steady_clock::now()};
};

} // namespace

Result<std::vector<ByteRange>> Maker::ranges_of(const Copy& copy) const {
    if (!parent_)
        return std::vector<ByteRange>{{.offset = 0, .length = copy.base.size_bytes}};
    const auto& before = *parent_->find(copy.device);
    // What has changed after the snapshot is among it, and in the image as it was.
    if (!before.checkpoint.empty())
        return checkpoints_.changes(copy.device, before.checkpoint);
    return snapshots_.changes(state_.label, copy.device, before.base);
}

/// An empty file, with the parent's behind it; or the one that was begun.
Result<void> Maker::prepare_file(const Copy& copy, const fs::path& file) const {
    std::vector<std::string> words{"qemu-img", "check", "-q", "-r", "leaks", "-f", "qcow2", file.string()};
    if (state_.offset_bytes == 0) {
        words = {"qemu-img", "create", "-q", "-f", "qcow2"};
        // Beside each other, wherever the folder is later.
        if (parent_)
            words.insert(words.end(),
                         {"-F", "qcow2", "-b",
                          fmt::format("../{}/{}", store_->folder_of(parent_->number).filename().string(),
                                      parent_->find(copy.device)->file)});
        words.insert(words.end(), {file.string(), std::to_string(copy.base.size_bytes)});
    }
    const auto done = run_program(words);
    return done ? Result<void>{} : pass_on(done);
}

/// How much was copied into the file, which is on the disk and closed then.
Result<std::uint64_t> Maker::copy_into(const fs::path& file, const Copy& copy, const Image& image,
                                       const std::vector<ByteRange>& ranges) {
    auto target = NbdTarget::open(file);
    if (!target)
        return pass_on(target);
    if (target->size_bytes() != copy.base.size_bytes)
        return fail("failed", fmt::format("{}: has {} bytes, and {} has {}", file.string(),
                                          target->size_bytes(), copy.device, copy.base.size_bytes));
    Display display{*session_, copy.device, length_of(ranges)};
    const CopyCallbacks callbacks{.progress =
                                      [&](std::uint64_t copied_bytes) {
                                          display.show(copied_bytes);
                                          return !Interruption::came();
                                      },
                                  .reached =
                                      [&](std::uint64_t offset_bytes) {
                                          state_.offset_bytes = offset_bytes;
                                          return store_->write_partial(state_);
                                      }};
    const auto copied = copy_ranges({.image = image.path,
                                     .ranges = ranges,
                                     .begin_bytes = state_.offset_bytes,
                                     .rate = rate_,
                                     .writes_zeroes = parent_.has_value()},
                                    *target, callbacks);
    if (!copied)
        return copied;
    const auto closed = target->close();
    return closed ? copied : pass_on(closed);
}

Result<void> Maker::copy_device(Copy& copy) {
    const auto images = snapshots_.images(state_.label);
    if (!images)
        return pass_on(images);
    const auto image = find_image(*images, state_.label, copy.device);
    if (!image)
        return pass_on(image);
    const auto ranges = ranges_of(copy);
    if (!ranges)
        return pass_on(ranges);
    const auto file = store_->partial_folder_of(state_.manifest.number) / copy.file;
    if (!fs::exists(file))
        state_.offset_bytes = 0;
    if (auto prepared = prepare_file(copy, file); !prepared)
        return prepared;
    const auto copied = copy_into(file, copy, *image, *ranges);
    if (!copied)
        return pass_on(copied);
    const auto sum = sha256_of(file);
    if (!sum)
        return pass_on(sum);
    copy.sha256 = *sum;
    copy.file_bytes = fs::file_size(file);
    copy.copied_bytes = *copied;
    state_.offset_bytes = 0;
    return store_->write_partial(state_);
}

} // namespace filterctl::backup
