// SPDX-License-Identifier: MIT
#include "load.hpp"

#include <algorithm>
#include <cstring>
#include <limits>
#include <memory>
#include <sys/ioctl.h>

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

void Writer::replay(const std::vector<Operation>& log, std::uint64_t until) {
    for (; replayed_ < until; replayed_++) {
        const Operation& operation = log[replayed_];
        const std::uint32_t shown =
            operation.kind == Kind::write ? static_cast<std::uint32_t>(replayed_ + 1) : 0;
        std::fill_n(state_.begin() + static_cast<std::ptrdiff_t>(operation.sector), operation.sectors, shown);
    }
}

bool Writer::shows(const std::vector<std::byte>& picture, const Operation& operation) const {
    const auto* first = picture.data() + operation.sector * sector_bytes;
    return std::all_of(first, first + operation.sectors * sector_bytes,
                       [](std::byte byte) { return byte == std::byte{0}; });
}

std::uint64_t Writer::seen(const std::vector<std::byte>& picture, const std::string& what) {
    const std::vector<Operation> log = this->log();
    std::uint64_t last = replayed_;
    for (std::uint64_t sector = 0; sector < sectors_; sector++) {
        Stamp found{};
        if (!owns(sector))
            continue;
        if (!read_stamp(picture.data() + sector * sector_bytes, found))
            fail("{}: sector {} of {} is half of one write and half of another", what, sector,
                 device_.path());
        if (found.writer != 0 &&
            (found.writer != number_ + 1 || found.sector != sector || found.operation > log.size()))
            fail("{}: sector {} of {} says writer {}, operation {}, sector {}", what, sector, device_.path(),
                 found.writer - 1, found.operation, found.sector);
        last = std::max(last, found.operation);
    }
    // What only makes zeroes leaves no number: as many as can have been.
    while (last < log.size() && log[last].kind != Kind::write && shows(picture, log[last]))
        last++;
    replay(log, last);
    for (std::uint64_t sector = 0; sector < sectors_; sector++) {
        Stamp found{};
        if (!owns(sector))
            continue;
        read_stamp(picture.data() + sector * sector_bytes, found);
        if (found.operation != state_[sector])
            fail("{}: sector {} of {} (chunk of 64 KiB {}) shows operation {} of writer {}, but must show "
                 "{}; the last one seen is {}",
                 what, sector, device_.path(), sector / 128, found.operation, number_, state_[sector], last);
    }
    return last;
}

std::uint64_t Writer::begun(const std::vector<Operation>& log, std::uint64_t number) {
    return number == 0 ? 0 : log[number - 1].begun;
}

std::uint64_t Writer::ended(const std::vector<Operation>& log, std::uint64_t number) {
    const std::uint64_t ended = number > log.size() ? 0 : log[number - 1].ended;
    return ended == 0 ? std::numeric_limits<std::uint64_t>::max() : ended;
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
    std::uint64_t latest_begin = 0;
    std::uint64_t earliest_end = std::numeric_limits<std::uint64_t>::max();
    std::string begin_of, end_of;
    for (std::size_t i = 0; i < writers_.size(); i++) {
        const std::uint64_t last = writers_[i]->seen(pictures[i / each], what);
        const std::vector<Operation> log = writers_[i]->log();
        const std::uint64_t begun = Writer::begun(log, last), ended = Writer::ended(log, last + 1);
        if (begun > latest_begin) {
            latest_begin = begun;
            begin_of = fmt::format("operation {} of writer {} on {}", last, i % each, devices_[i / each]);
        }
        if (ended < earliest_end) {
            earliest_end = ended;
            end_of = fmt::format("operation {} of writer {} on {}", last + 1, i % each, devices_[i / each]);
        }
    }
    if (latest_begin > earliest_end)
        fail("{}: not one instant: {} is seen, and {} is not, which was over before that began", what,
             begin_of, end_of);
    if (earliest_end < since)
        fail("{}: {} was over before, and is not seen", what, end_of);
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
