// SPDX-License-Identifier: MIT
#include "backup/copy.hpp"

#include <blkfilter/file_descriptor.hpp>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <fcntl.h>
#include <fmt/format.h>
#include <span>
#include <thread>
#include <tuple>
#include <unistd.h>

namespace filterctl::backup {

namespace {

constexpr std::size_t piece_bytes = 1U << 20;
/// Zeroes are looked for in pieces of a qcow2 cluster.
constexpr std::size_t cluster_bytes = 64U << 10;
/// After so much, or so long, it is flushed and noted.
constexpr std::uint64_t noted_bytes = 256U << 20;
constexpr std::chrono::seconds noted_time{5};

using Clock = std::chrono::steady_clock;

/// For so long at most nobody is asked whether to go on.
constexpr std::chrono::milliseconds deaf_time{200};

/// No faster than a rate.
class Pace {
public:
    explicit Pace(std::uint64_t rate) : rate_{rate} {}

    void add(std::uint64_t bytes) { done_ += bytes; }

    /// Waits for a moment where that is needed; true: it is not any more.
    [[nodiscard]] bool may_go_on() const {
        if (rate_ == 0)
            return true;
        const std::chrono::duration<double> due{static_cast<double>(done_) / static_cast<double>(rate_)};
        const auto left = due - (Clock::now() - begin_);
        if (left.count() > 0)
            std::this_thread::sleep_for(std::min<std::chrono::duration<double>>(left, deaf_time));
        return left <= deaf_time;
    }

private:
    std::uint64_t rate_;
    std::uint64_t done_{};
    Clock::time_point begin_{Clock::now()};
};

bool is_zero(std::span<const std::byte> data) {
    return data.empty() ||
           (data.front() == std::byte{} && std::memcmp(data.data(), data.data() + 1, data.size() - 1) == 0);
}

class Copier {
public:
    Copier(const CopyRequest& request, NbdTarget& target, const CopyCallbacks& callbacks)
        : request_{&request}, target_{&target}, callbacks_{&callbacks}, pace_{request.rate},
          image_{::open(request.image.c_str(), O_RDONLY | O_CLOEXEC)} {}

    Result<std::uint64_t> run() {
        auto done = copy_all();
        // Whatever it was that failed, what has come so far need not be copied again.
        if (!done && reached_ > request_->begin_bytes)
            std::ignore = note();
        return done ? Result<std::uint64_t>{copied_} : pass_on(done);
    }

private:
    [[nodiscard]] std::unexpected<Failure> failed(const std::string& what) const {
        return fail("failed", fmt::format("{}: {}: {}", request_->image, what, std::strerror(errno)));
    }

    Result<void> copy_all() {
        if (image_.get() < 0)
            return failed("cannot be opened");
        for (const auto& range : request_->ranges)
            if (auto done = copy(range); !done)
                return done;
        return target_->flush();
    }

    Result<void> copy(const ByteRange& range) {
        const auto end = range.offset + range.length;
        const auto begin = std::clamp(request_->begin_bytes, range.offset, end);
        copied_ += begin - range.offset;
        for (auto at = begin; at < end;) {
            const auto bytes = std::min<std::uint64_t>(piece_bytes, end - at);
            if (auto done = copy_piece(at, static_cast<std::size_t>(bytes)); !done)
                return done;
            at += bytes;
            reached_ = at;
            if (auto done = go_on(bytes); !done)
                return done;
        }
        return {};
    }

    Result<void> copy_piece(std::uint64_t offset, std::size_t bytes) {
        for (std::size_t got = 0; got < bytes;) {
            const auto part =
                pread(image_.get(), buffer_.data() + got, bytes - got, static_cast<off_t>(offset + got));
            if (part < 0 && errno == EINTR)
                continue;
            if (part == 0)
                errno = ENODATA;
            if (part <= 0)
                return failed(fmt::format("cannot be read at byte {}", offset + got));
            got += static_cast<std::size_t>(part);
        }
        // An image is read once; the machine's memory is for others.
        static_cast<void>(posix_fadvise(image_.get(), static_cast<off_t>(offset), static_cast<off_t>(bytes),
                                        POSIX_FADV_DONTNEED));
        for (std::size_t at = 0; at < bytes;) {
            const auto run = run_at(at, bytes);
            if (auto done = put(offset + at, run); !done)
                return done;
            at += run.data.size();
        }
        copied_ += bytes;
        return {};
    }

    /// Zeroes, or not.
    struct Run {
        std::span<const std::byte> data;
        bool is_zero;
    };

    /// From there on, all that is zeroes, or all that is not.
    [[nodiscard]] Run run_at(std::size_t begin, std::size_t bytes) const {
        const std::span all{buffer_.data(), bytes};
        const auto cluster = [&](std::size_t at) {
            return all.subspan(at, std::min(cluster_bytes, bytes - at));
        };
        const bool zero = is_zero(cluster(begin));
        auto end = begin + cluster(begin).size();
        while (end < bytes && is_zero(cluster(end)) == zero)
            end += cluster(end).size();
        return {.data = all.subspan(begin, end - begin), .is_zero = zero};
    }

    Result<void> put(std::uint64_t offset, const Run& run) {
        if (!run.is_zero)
            return target_->write(offset, run.data);
        return request_->writes_zeroes ? target_->zero(offset, run.data.size()) : Result<void>{};
    }

    Result<void> go_on(std::uint64_t bytes) {
        since_noted_ += bytes;
        pace_.add(bytes);
        do {
            if (!callbacks_->progress(copied_))
                return fail("failed", "interrupted");
        } while (!pace_.may_go_on());
        return since_noted_ < noted_bytes && Clock::now() - noted_ < noted_time ? Result<void>{} : note();
    }

    /// What is copied is on the disk, and somebody knows it.
    Result<void> note() {
        since_noted_ = 0;
        if (auto flushed = target_->flush(); !flushed)
            return flushed;
        if (auto noted = callbacks_->reached(reached_); !noted)
            return noted;
        noted_ = Clock::now();
        return {};
    }

    const CopyRequest* request_;
    NbdTarget* target_;
    const CopyCallbacks* callbacks_;
    Pace pace_;
    blkfilter::FileDescriptor image_;
    std::vector<std::byte> buffer_ = std::vector<std::byte>(piece_bytes);
    std::uint64_t copied_{};
    std::uint64_t reached_{}; ///< up to here it is copied
    std::uint64_t since_noted_{};
    Clock::time_point noted_{Clock::now()};
};

} // namespace

Result<std::uint64_t> copy_ranges(const CopyRequest& request, NbdTarget& target,
                                  const CopyCallbacks& callbacks) {
    return Copier{request, target, callbacks}.run();
}

} // namespace filterctl::backup
