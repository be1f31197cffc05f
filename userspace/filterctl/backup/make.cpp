// SPDX-License-Identifier: MIT
/// @file
/// How a backup begins, ends, and goes on after an interruption.
#include "backup/make.hpp"

#include "backup/program.hpp"
#include "backup/read.hpp"

#include <algorithm>
#include <chrono>
#include <fmt/chrono.h>
#include <fmt/format.h>
#include <random>
#include <tuple>

namespace filterctl::backup {

namespace {

std::string now(const char* format) {
    return fmt::format(fmt::runtime(format),
                       std::chrono::floor<std::chrono::seconds>(std::chrono::system_clock::now()));
}

/// A snapshot's; another folder's backup, begun in the same second, has another one.
std::string label_of(std::uint64_t number) {
    return fmt::format("backup-{}-{}-{:08x}", number, now("{:%Y%m%dT%H%M%SZ}"), std::random_device{}());
}

/// Why an increment on @p base cannot be made of a device that is now as @p now; empty: it can.
std::string_view mismatch_of(const Base& base, const Base& now) {
    using blkfilter::blksnap::Mismatch;
    const auto mismatch = compare(base, now);
    // Each snapshot has a number of its own.
    const bool is_same = mismatch == Mismatch::none && base.number == now.number;
    return reason_of(is_same ? Mismatch::number : mismatch);
}

} // namespace

// --- the beginning ---

Result<Manifest> Maker::full(const Wish& wish) {
    if (wish.devices.empty() == wish.group.empty())
        return fail("invalid", "a backup of what? Name devices, or --group, not both");
    if (auto begun = begin(wish); !begun)
        return pass_on(begun);
    return run();
}

Result<Manifest> Maker::incremental() {
    if (store_->numbers().empty())
        return fail("refused",
                    fmt::format("{}: there is no backup that an increment could be made on: a full one "
                                "is needed",
                                store_->folder().string()));
    // All of the chain must be there, else the increment is worth nothing.
    auto chain = whole_chain(store_->numbers().back());
    if (!chain)
        return fail("refused", chain.error().message + "; a full one is needed, into another folder");
    parent_ = std::move(chain->back());
    Wish wish{.devices = {}, .group = parent_->group};
    for (const auto& copy : parent_->devices) {
        wish.devices.push_back(copy.device);
        wish.by_checkpoints = !copy.checkpoint.empty();
    }
    if (auto begun = begin(wish); !begun)
        return pass_on(begun);
    return run();
}

/// A backup and all that are behind it, and their files.
Result<std::vector<Manifest>> Maker::whole_chain(std::uint64_t number) const {
    auto chain = store_->chain(number);
    if (!chain)
        return chain;
    if (const auto checked = check_files(*store_, *chain); !checked)
        return pass_on(checked);
    return chain;
}

Result<void> Maker::begin(const Wish& wish) {
    if (const auto partial = store_->partial())
        return fail("refused",
                    fmt::format("{}: backup {} was interrupted: 'filterctl backup resume' goes on, "
                                "'filterctl backup discard' gives it up",
                                store_->folder().string(), *partial));
    // Where nobody answers nothing is begun.
    if (const auto client = session_->client(); !client)
        return pass_on(client);
    end_kept();
    const auto number = store_->numbers().empty() ? 1 : store_->numbers().back() + 1;
    state_ = {.manifest = {.number = number, .created = now("{:%FT%TZ}"), .group = wish.group},
              .label = label_of(number)};
    if (parent_) {
        const auto sum = sha256_of(store_->manifest_of(parent_->number));
        if (!sum)
            return pass_on(sum);
        state_.manifest.parent = parent_->number;
        state_.manifest.parent_sha256 = *sum;
    }
    if (auto noted = store_->write_partial(state_); !noted) {
        std::ignore = store_->discard_partial();
        return noted;
    }
    auto taken = take_snapshot(wish);
    if (const auto given_up = taken ? Result<void>{} : give_up(); !given_up)
        session_->say("filterctl: " + given_up.error().message);
    return taken;
}

Result<void> Maker::take_snapshot(const Wish& wish) {
    const auto created = snapshots_.create(state_.label, wish.devices, wish.group);
    if (!created)
        return pass_on(created);
    for (const auto& warning : list_of(*created, "warnings"))
        if (warning.is_string())
            session_->say("filterctl: warning: " + warning.get<std::string>());
    const auto images = snapshots_.images(state_.label);
    if (!images)
        return pass_on(images);
    if (auto checked = check_images(*images); !checked)
        return checked;
    for (const auto& image : *images)
        state_.manifest.devices.push_back({.device = image.device,
                                           .base = image.base,
                                           .checkpoint = wish.by_checkpoints ? state_.label : std::string{},
                                           .file = image.device + ".qcow2"});
    if (Interruption::came())
        return fail("failed", "interrupted");
    // Before they are named, so that what is named is known.
    if (auto noted = store_->write_partial(state_); !noted)
        return noted;
    return name_checkpoints(text_of(*created, "id"));
}

Result<void> Maker::name_checkpoints(const std::string& snapshot) const {
    for (const auto& copy : state_.manifest.devices) {
        if (copy.checkpoint.empty())
            continue;
        if (auto named = checkpoints_.name(copy.device, copy.checkpoint, snapshot); !named)
            return named;
    }
    return {};
}

/// One that stays costs nothing but its name.
void Maker::remove_checkpoints(const Manifest& manifest) const {
    for (const auto& copy : manifest.devices) {
        if (copy.checkpoint.empty())
            continue;
        if (const auto removed = checkpoints_.remove(copy.device, copy.checkpoint); !removed)
            session_->say(fmt::format("filterctl: warning: {}: checkpoint {} may stay: {}", copy.device,
                                      copy.checkpoint, removed.error().message));
    }
}

/// "refused": no increment can be made on it.
Result<void> Maker::check_base(const Copy& before, const Base& now) const {
    if (before.checkpoint.empty()) {
        const auto why = mismatch_of(before.base, now);
        return why.empty() ? Result<void>{} : fail("refused", std::string{why});
    }
    if (before.base.size_bytes != now.size_bytes)
        return fail("refused", std::string{reason_of(blkfilter::blksnap::Mismatch::size)});
    return checkpoints_.check(before.device, before.checkpoint);
}

Result<void> Maker::check_images(const std::vector<Image>& images) const {
    if (!parent_)
        return {};
    for (const auto& image : images) {
        const auto* before = parent_->find(image.device);
        if (!before)
            return fail("refused", fmt::format("{} is not in backup {}: a full one is needed", image.device,
                                               parent_->number));
        if (const auto checked = check_base(*before, image.base); !checked)
            return fail("refused", fmt::format("{}: no increment fits on backup {}: {}; a full one is needed",
                                               image.device, parent_->number, checked.error().message));
    }
    if (parent_->devices.size() != images.size())
        return fail("refused",
                    fmt::format("backup {} has devices that group '{}' does not have any more: a full "
                                "one is needed",
                                parent_->number, parent_->group));
    return {};
}

// --- snapshots that end ---

/// Only what is certain counts: a snapshot that nobody knows of holds old data until the machine is started
/// anew.
Result<void> Maker::end_snapshot(const std::string& label) const {
    // In this order: one that is being made, and then is, is found by the second question.
    const auto may_come = snapshots_.is_any_being_made();
    if (!may_come)
        return pass_on(may_come);
    auto destroyed = snapshots_.destroy(label);
    if (destroyed || destroyed.error().code != "not-found")
        return destroyed;
    return *may_come ? fail("refused", "a snapshot is just being made, which may be this one")
                     : Result<void>{};
}

/// The snapshots of whole backups that stayed when filterctl or filterd was ended in the wrong moment.
void Maker::end_kept() {
    for (const auto number : std::vector{store_->kept()}) {
        const auto state = store_->read_kept(number);
        auto ended = state ? end_snapshot(state->label) : pass_on(state);
        if (ended)
            ended = store_->forget(number);
        if (!ended)
            session_->say(fmt::format("filterctl: warning: the snapshot of backup {} may stay: {}", number,
                                      ended.error().message));
    }
}

/// Nothing stays of what was begun; all of it while its snapshot does.
Result<void> Maker::give_up() {
    if (const auto ended = end_snapshot(state_.label); !ended)
        return fail(ended.error().code,
                    fmt::format("snapshot {} may stay: {}; 'filterctl backup discard {}' tries again",
                                state_.label, ended.error().message, store_->folder().string()));
    remove_checkpoints(state_.manifest);
    return store_->discard_partial();
}

Result<void> Maker::discard() {
    if (!store_->partial())
        return fail("not-found",
                    fmt::format("{}: no backup was interrupted there", store_->folder().string()));
    auto state = store_->read_partial();
    // It is written before a snapshot is asked for.
    if (!state && state.error().code == "not-found")
        return store_->discard_partial();
    if (!state) {
        session_->say(
            fmt::format("filterctl: warning: {}: look for its snapshot by 'filterctl snapshot list'",
                        state.error().message));
        return store_->discard_partial();
    }
    state_ = std::move(*state);
    return give_up();
}

// --- copying, and the end ---

Result<Manifest> Maker::run() {
    for (auto& copy : state_.manifest.devices) {
        if (copy.file_bytes != 0)
            continue;
        if (auto copied = copy_device(copy); !copied) {
            auto failure = copied.error();
            failure.code = "failed";
            failure.message +=
                fmt::format("; 'filterctl backup resume {0}' goes on from here, 'filterctl backup "
                            "discard {0}' gives it up",
                            store_->folder().string());
            return std::unexpected(std::move(failure));
        }
    }
    return finish();
}

Result<Manifest> Maker::finish() {
    // What the images were all the time: what was read of one that failed meanwhile is not trusted.
    const auto images = snapshots_.images(state_.label);
    if (!images)
        return pass_on(images);
    for (const auto& copy : state_.manifest.devices)
        if (const auto image = find_image(*images, state_.label, copy.device); !image)
            return pass_on(image);
    if (auto completed = store_->complete(state_.manifest); !completed)
        return pass_on(completed);
    end_kept();
    // The next increment is made on this one.
    if (parent_)
        remove_checkpoints(*parent_);
    return state_.manifest;
}

/// Whether all that was begun is still what it was.
Result<void> Maker::check_resumed() const {
    const auto images = snapshots_.images(state_.label);
    if (!images)
        return images.error().code == "not-found" ? fail("refused", "its snapshot is gone") : pass_on(images);
    if (state_.manifest.devices.empty())
        return fail("refused", "it was interrupted before anything was copied");
    for (const auto& copy : state_.manifest.devices) {
        const auto image = find_image(*images, state_.label, copy.device);
        if (!image)
            return fail("refused", image.error().message);
        if (image->base != copy.base)
            return fail("refused", fmt::format("its snapshot of {} is another one", copy.device));
        if (parent_ && !parent_->find(copy.device))
            return fail("refused", fmt::format("{} is not in backup {}", copy.device, parent_->number));
    }
    if (!parent_)
        return {};
    const auto sum = sha256_of(store_->manifest_of(parent_->number));
    if (!sum)
        return pass_on(sum);
    return *sum == state_.manifest.parent_sha256
               ? Result<void>{}
               : fail("refused", fmt::format("backup {} is not the one that it is made on", parent_->number));
}

Result<Manifest> Maker::resume() {
    auto state = store_->read_partial();
    if (!state)
        return pass_on(state);
    state_ = std::move(*state);
    Result<void> checked{};
    if (const auto parent = state_.manifest.parent) {
        auto chain = whole_chain(*parent);
        if (chain)
            parent_ = std::move(chain->back());
        else
            checked = fail("refused", chain.error().message);
    }
    if (checked)
        checked = check_resumed();
    if (checked)
        return run();
    if (checked.error().code != "refused")
        return pass_on(checked);
    return fail("refused",
                fmt::format("backup {} cannot go on: {}; 'filterctl backup discard {}', and begin anew",
                            state_.manifest.number, checked.error().message, store_->folder().string()));
}

} // namespace filterctl::backup
