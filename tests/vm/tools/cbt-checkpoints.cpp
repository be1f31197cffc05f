// SPDX-License-Identifier: MIT
// Many checkpoints of cbt-only on one device, whose answers are compared with a model of what was written:
//
//   cbt-checkpoints DEVICE BLOCK_BYTES LIVE CHURN [LIMIT]
//
// LIVE checkpoints are alive at once; then CHURN ones come and go while one from the beginning stays; and
// creation ends with ENOSPC when LIMIT of them live. SEED in the environment makes the run.

#include <blkfilter/cbt.hpp>
#include <blkfilter/device_id.hpp>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstdlib>
#include <fcntl.h>
#include <fmt/format.h>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <unistd.h>
#include <utility>
#include <vector>

namespace {

using blkfilter::Result;
using blkfilter::Uuid;
using blkfilter::cbt::Tracker;

constexpr std::size_t page_bytes = 4096;
constexpr std::uint64_t sector_bytes = 512;

std::mt19937 chance;

template <class... Arguments>
[[noreturn]] void fail(fmt::format_string<Arguments...> text, Arguments&&... arguments) {
    fmt::print("{}\n", fmt::format(text, std::forward<Arguments>(arguments)...));
    std::exit(1);
}

template <class Value>
Value value_of(Result<Value> result, std::string_view what) {
    if (!result)
        fail("{}: {}", what, result.error().message);
    return std::move(*result);
}

/// The device, and for each block how many checkpoints there were when it was last written.
class Model {
public:
    Model(const std::string& path, std::uint64_t block_bytes)
        : block_bytes_{block_bytes}, file_{open(path.c_str(), O_RDWR | O_DIRECT | O_CLOEXEC)},
          page_{static_cast<std::byte*>(std::aligned_alloc(page_bytes, page_bytes)), std::free} {
        if (file_ < 0)
            fail("{}: cannot be opened", path);
        blocks_ = static_cast<std::uint64_t>(lseek(file_, 0, SEEK_END)) / block_bytes;
    }

    void write_somewhere() {
        const auto block = std::uniform_int_distribution<std::uint64_t>{0, blocks_ - 1}(chance);
        page_.get()[0] = std::byte{static_cast<unsigned char>(chance())};
        if (pwrite(file_, page_.get(), page_bytes, static_cast<off_t>(block * block_bytes_)) != page_bytes)
            fail("block {} cannot be written", block);
        written_[block] = now_;
    }

    /// The number that a checkpoint made now has in the model.
    std::uint64_t checkpoint() { return now_++; }

    void compare(const std::vector<blkfilter::cbt::Extent>& extents, std::uint64_t since) const {
        std::map<std::uint64_t, bool> got;
        for (const auto& extent : extents)
            for (auto at = extent.range.sector; at < extent.range.sector + extent.range.sectors;
                 at += block_bytes_ / sector_bytes)
                got[at * sector_bytes / block_bytes_] = true;
        for (const auto& [block, when] : written_) {
            const bool changed = when > since;
            if (changed != got.contains(block))
                fail("block {}, written after checkpoint {}, asked since {}: {}", block, when, since,
                     changed ? "not reported" : "reported");
            got.erase(block);
        }
        if (!got.empty())
            fail("block {} was never written and is reported since {}", got.begin()->first, since);
    }

private:
    std::uint64_t block_bytes_;
    std::uint64_t blocks_{};
    int file_;
    std::unique_ptr<std::byte, decltype(&std::free)> page_;
    std::map<std::uint64_t, std::uint64_t> written_;
    std::uint64_t now_{1};
};

struct Live {
    std::string name;
    std::uint64_t number;
    std::uint64_t in_model;
};

class Check {
public:
    Check(const Tracker& tracker, Model& model)
        : tracker_{tracker}, model_{model}, generation_{value_of(tracker.info(), "info").generation} {}

    Live create(const std::string& name) {
        model_.write_somewhere();
        const auto number = value_of(tracker_.create(name), name);
        return {name, number, model_.checkpoint()};
    }

    void ask(const Live& live) const {
        model_.compare(value_of(tracker_.extents(generation_, live.number), live.name), live.in_model);
    }

    void remove(const Live& live) const {
        if (auto done = tracker_.remove(live.name); !done)
            fail("{}", done.error().message);
        if (const auto gone = tracker_.extents(generation_, live.number); gone || gone.error().code != ENOENT)
            fail("{} was deleted and can be asked for", live.name);
    }

    void many(std::size_t n) {
        std::vector<Live> live;
        for (std::size_t i = 0; i < n; ++i)
            live.push_back(create(fmt::format("live-{}", i)));
        if (const auto info = value_of(tracker_.info(), "info"); info.named != n)
            fail("{} checkpoints were made, {} are there", n, info.named);
        if (const auto twice = tracker_.create("live-0"); twice || twice.error().code != EEXIST)
            fail("a name was given twice");
        std::ranges::shuffle(live, chance);
        for (std::size_t i = 0; i < live.size(); ++i) {
            if (i % 16 == 0)
                ask(live[i]);
            remove(live[i]);
        }
    }

    void churn(std::size_t n) {
        const auto base = create("base");
        auto middle = create("middle");
        for (std::size_t i = 0; i < n; ++i) {
            const auto live = create("churn");
            if (i % 64 == 0) {
                model_.write_somewhere();
                ask(base);
                ask(middle);
                ask(live);
            }
            remove(live);
            if (i % 500 == 499) {
                remove(middle);
                middle = create("middle");
            }
        }
        ask(base);
        remove(middle);
        remove(base);
    }

    void limit(std::size_t expected) {
        std::vector<Live> live;
        for (;;) {
            const auto number = tracker_.create(fmt::format("limit-{}", live.size()));
            if (!number) {
                if (number.error().code != ENOSPC)
                    fail("{}", number.error().message);
                break;
            }
            live.push_back({fmt::format("limit-{}", live.size()), *number, model_.checkpoint()});
            model_.write_somewhere();
        }
        if (live.size() != expected)
            fail("no room after {} checkpoints, expected {}", live.size(), expected);
        ask(live.front());
        ask(live[live.size() / 2]);
        ask(live.back());
        for (const auto& one : live)
            remove(one);
        remove(create("again"));
    }

private:
    const Tracker& tracker_;
    Model& model_;
    Uuid generation_;
};

} // namespace

int main(int argc, char** argv) {
    if (argc < 5)
        return 2;
    const char* seed = std::getenv("SEED");
    chance.seed(seed ? static_cast<unsigned>(std::atoll(seed)) : 1);
    const auto control = value_of(blkfilter::Control::open(), "control");
    const auto device = value_of(blkfilter::DeviceId::from_path(argv[1]), argv[1]);
    const Tracker tracker{control, device};
    Model model{argv[1], static_cast<std::uint64_t>(std::atoll(argv[2]))};
    Check check{tracker, model};
    check.many(static_cast<std::size_t>(std::atoll(argv[3])));
    check.churn(static_cast<std::size_t>(std::atoll(argv[4])));
    if (argc > 5)
        check.limit(static_cast<std::size_t>(std::atoll(argv[5])));
    fmt::print("{} at once, {} one after the other\n", argv[3], argv[4]);
}
