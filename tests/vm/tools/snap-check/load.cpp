// SPDX-License-Identifier: MIT
#include "load.hpp"

#include <algorithm>
#include <cstring>
#include <limits>
#include <memory>
#include <sys/ioctl.h>
#include <utility>

namespace snap {

namespace {

constexpr std::size_t alignment = 4096;

struct Free {
    void operator()(std::byte* memory) const { std::free(memory); }
};
using Buffer = std::unique_ptr<std::byte, Free>;

Buffer buffer_of(std::size_t bytes) {
    return Buffer(static_cast<std::byte*>(
        std::aligned_alloc(alignment, (bytes + alignment - 1) / alignment * alignment)));
}

/// What a sector says: twice, so that a torn one is found.
struct Stamp {
    std::uint64_t writer; ///< and one
    std::uint64_t operation;
    std::uint64_t sector;
};

void stamp(std::byte* sector, const Stamp& what) {
    std::memset(sector, static_cast<int>(what.operation * 7 + what.writer), sector_bytes);
    std::memcpy(sector, &what, sizeof(what));
    std::memcpy(sector + sector_bytes - sizeof(what), &what, sizeof(what));
}

/// @return false when both halves differ.
bool read_stamp(const std::byte* sector, Stamp& what) {
    Stamp last{};
    std::memcpy(&what, sector, sizeof(what));
    std::memcpy(&last, sector + sector_bytes - sizeof(last), sizeof(last));
    return std::memcmp(&what, &last, sizeof(what)) == 0;
}

} // namespace

Writer::Writer(const std::string& device, std::uint64_t sectors, unsigned number, unsigned writers,
               unsigned seed, Clock& clock, const LoadOptions& options)
    : device_(device, O_RDWR | O_DIRECT), sectors_(sectors), number_(number), writers_(writers),
      chance_(seed), clock_(clock), options_(options), state_(sectors) {}

bool Writer::owns(std::uint64_t sector) const {
    return sector / options_.zone_sectors % writers_ == number_;
}

void Writer::run(const std::atomic<bool>& stop) {
    while (!stop) {
        step();
        if (options_.pause_us != 0)
            std::this_thread::sleep_for(std::chrono::microseconds(chance_() % options_.pause_us));
    }
}

void Writer::step() {
    const std::uint64_t zones = sectors_ / (options_.zone_sectors * writers_);
    const std::uint64_t zone = (chance_() % zones * writers_ + number_) * options_.zone_sectors;
    const std::uint64_t room = std::min(options_.zone_sectors, sectors_ - zone);
    const std::uint64_t block = options_.block;
    const std::uint64_t skip = chance_() % (room / block) * block;
    const std::uint64_t most = std::min<std::uint64_t>(room - skip, options_.largest) / block;
    Operation operation{.sector = zone + skip,
                        .sectors = static_cast<std::uint32_t>((chance_() % most + 1) * block),
                        .kind = Kind::write,
                        .begun = 0,
                        .ended = 0};
    if (chance_() % 100 < options_.discards)
        operation.kind = options_.only_zeroes || chance_() % 2 != 0U ? Kind::zeroes : Kind::discard;
    std::uint64_t number = 0;
    {
        const std::lock_guard guard(lock_);
        operation.begun = clock_.next();
        log_.push_back(operation);
        number = log_.size();
    }
    if (operation.kind == Kind::write) {
        const std::size_t bytes = operation.sectors * sector_bytes;
        const Buffer data = buffer_of(bytes);
        for (std::uint64_t i = 0; i < operation.sectors; i++)
            stamp(data.get() + i * sector_bytes, {number_ + 1, number, operation.sector + i});
        const ssize_t done =
            ::pwrite(device_.fd(), data.get(), bytes, static_cast<off_t>(operation.sector * sector_bytes));
        if (done != static_cast<ssize_t>(bytes))
            fail("writing {} sectors at {} of {}: {}", operation.sectors, operation.sector, device_.path(),
                 checks::name_of(errno));
    } else {
        std::uint64_t range[2] = {operation.sector * sector_bytes, operation.sectors * sector_bytes};
        // Where a device takes no discards, zeroes are written.
        const bool discarded =
            operation.kind == Kind::discard && ::ioctl(device_.fd(), BLKDISCARD, range) == 0;
        if (!discarded && ::ioctl(device_.fd(), BLKZEROOUT, range) < 0)
            fail("discarding {} sectors at {} of {}: {}", operation.sectors, operation.sector, device_.path(),
                 checks::name_of(errno));
    }
    const std::lock_guard guard(lock_);
    log_[number - 1].ended = clock_.next();
}

std::vector<Operation> Writer::log() const {
    const std::lock_guard guard(lock_);
    return log_;
}

namespace {

constexpr std::uint64_t never = std::numeric_limits<std::uint64_t>::max();

/// What its sectors show afterwards.
std::uint32_t shown_by(const std::vector<Operation>& log, std::uint64_t number) {
    return log[number - 1].kind == Kind::write ? static_cast<std::uint32_t>(number) : 0;
}

/// When exactly the first @p number operations are seen.
Span span_of(const std::vector<Operation>& log, std::uint64_t number) {
    const std::uint64_t ended = number == log.size() ? 0 : log[number].ended;
    return {.after = number == 0 ? 0 : log[number - 1].begun,
            .before = ended == 0 ? never : ended,
            .operations = number};
}

std::vector<Span> common_of(const std::vector<Span>& some, const std::vector<Span>& others) {
    std::vector<Span> common;
    for (const Span& one : some)
        for (const Span& other : others)
            if (const Span both{.after = std::max(one.after, other.after),
                                .before = std::min(one.before, other.before),
                                .operations = 0};
                both.after <= both.before)
                common.push_back(both);
    return common;
}

std::string text_of(const std::vector<Span>& spans) {
    std::string text;
    for (const auto& [after, before, operations] : spans)
        text += fmt::format("{}{} operations: after {}, before {}", text.empty() ? "" : "; ", operations,
                            after, before == never ? "now" : std::to_string(before));
    return text;
}

} // namespace

void Writer::replay(const std::vector<Operation>& log, std::uint64_t until) {
    while (replayed_ < until) {
        const Operation& operation = log[replayed_++];
        std::fill_n(state_.begin() + static_cast<std::ptrdiff_t>(operation.sector), operation.sectors,
                    shown_by(log, replayed_));
    }
}

/// By sector, where the sector is its own.
std::vector<std::uint32_t> Writer::numbers_in(const std::vector<std::byte>& picture,
                                              const std::string& what) const {
    std::vector<std::uint32_t> numbers(sectors_);
    const std::size_t known = log().size();
    for (std::uint64_t sector = 0; sector < sectors_; sector++) {
        Stamp found{};
        if (!owns(sector))
            continue;
        if (!read_stamp(picture.data() + sector * sector_bytes, found))
            fail("{}: sector {} of {} is half of one write and half of another", what, sector,
                 device_.path());
        if (found.writer != 0 &&
            (found.writer != number_ + 1 || found.sector != sector || found.operation > known))
            fail("{}: sector {} of {} says writer {}, operation {}, sector {}", what, sector, device_.path(),
                 found.writer - 1, found.operation, found.sector);
        numbers[sector] = static_cast<std::uint32_t>(found.operation);
    }
    return numbers;
}

std::vector<Span> Writer::instants(const std::vector<std::byte>& picture, const std::string& what) {
    const std::vector<std::uint32_t> numbers = numbers_in(picture, what);
    const std::vector<Operation> log = this->log();
    replay(log, std::max<std::uint64_t>(replayed_, *std::ranges::max_element(numbers)));
    std::vector<std::uint32_t> state = state_;
    const auto [wrong_state, wrong_number] = std::ranges::mismatch(state, numbers);
    const auto first_wrong = static_cast<std::size_t>(wrong_state - state.begin());
    std::size_t wrong = 0;
    for (std::size_t sector = 0; sector < sectors_; sector++)
        wrong += state[sector] != numbers[sector] ? 1 : 0;
    std::vector<Span> spans;
    for (std::uint64_t number = replayed_;; number++) {
        if (wrong == 0)
            spans.push_back(span_of(log, number));
        if (number == log.size())
            break;
        const Operation& next = log[number];
        for (std::uint64_t sector = next.sector; sector < next.sector + next.sectors; sector++) {
            wrong -= state[sector] != numbers[sector] ? 1 : 0;
            state[sector] = shown_by(log, number + 1);
            wrong += state[sector] != numbers[sector] ? 1 : 0;
        }
    }
    if (spans.empty())
        fail(
            "{}: sector {} of {} (chunk of 64 KiB {}) shows operation {} of writer {}, but must show {}; the "
            "last one seen is {}",
            what, first_wrong, device_.path(), first_wrong / 128, numbers[first_wrong], number_,
            state_[first_wrong], replayed_);
    replay(log, spans.front().operations);
    return spans;
}

Load::Load(std::vector<std::string> devices, unsigned writers, unsigned seed, const LoadOptions& options)
    : devices_(std::move(devices)) {
    for (const std::string& device : devices_) {
        const File file(device, O_RDWR);
        const std::uint64_t bytes = bytes_of(file);
        std::uint64_t range[2] = {0, bytes};
        if (::ioctl(file.fd(), BLKZEROOUT, range) < 0)
            fail("zeroing {}: {}", device, checks::name_of(errno));
        for (unsigned i = 0; i < writers; i++)
            writers_.push_back(
                std::make_unique<Writer>(device, bytes / sector_bytes, i, writers, seed++, clock_, options));
    }
    for (const auto& writer : writers_)
        threads_.emplace_back([this, &writer] { writer->run(stop_); });
}

void Load::stop() {
    stop_ = true;
    for (std::thread& thread : threads_)
        thread.join();
    threads_.clear();
}

Load::~Load() {
    stop();
}

void Load::check(const std::vector<std::vector<std::byte>>& pictures, std::uint64_t since,
                 const std::string& what) {
    const std::size_t each = writers_.size() / devices_.size();
    std::vector<Span> common{{.after = since, .before = never, .operations = 0}};
    for (std::size_t i = 0; i < writers_.size(); i++) {
        const std::vector<Span> spans = writers_[i]->instants(pictures[i / each], what);
        const std::vector<Span> before = std::exchange(common, common_of(common, spans));
        if (common.empty())
            fail("{}: not one instant: writer {} on {} has done {}; the others, and the take: {}", what,
                 i % each, devices_[i / each], text_of(spans), text_of(before));
    }
}

std::vector<std::byte> picture_of(const File& device) {
    constexpr std::size_t piece = 1 << 20;
    const std::uint64_t bytes = bytes_of(device);
    const Buffer data = buffer_of(piece);
    std::vector<std::byte> picture(bytes);
    for (std::uint64_t offset = 0; offset < bytes;) {
        const std::size_t n = std::min<std::uint64_t>(piece, bytes - offset);
        const ssize_t done = ::pread(device.fd(), data.get(), n, static_cast<off_t>(offset));
        if (done <= 0)
            fail("reading {} at {}: {}", device.path(), offset, checks::name_of(errno));
        std::memcpy(picture.data() + offset, data.get(), static_cast<std::size_t>(done));
        offset += static_cast<std::uint64_t>(done);
    }
    return picture;
}

} // namespace snap
