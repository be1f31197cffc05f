// SPDX-License-Identifier: MIT
/// @file
/// Writers whose every sector says who wrote it and when, and the check that what is seen of a device is what
/// it was at one instant.
///
/// Each writer has zones of the device of its own and does one operation after the other, so an instant is,
/// for each writer, a number of operations. All of them must belong to one instant: the last operation that
/// is seen of one writer must have begun before the first one that is not seen of another was over.
#pragma once

#include "client.hpp"

#include <atomic>
#include <cstdint>
#include <mutex>
#include <random>
#include <thread>
#include <vector>

namespace snap {

constexpr std::uint64_t sector_bytes = 512;

enum class Kind : std::uint8_t { write, zeroes, discard };

struct Operation {
    std::uint64_t sector;
    std::uint32_t sectors;
    Kind kind;
    std::uint64_t begun;
    std::uint64_t ended; ///< 0: not yet
};

/// Instants after one event of the clock and before another: so many operations of a writer are in a picture.
struct Span {
    std::uint64_t after;
    std::uint64_t before;
    std::uint64_t operations;
};

struct LoadOptions {
    std::uint64_t zone_sectors = 130; ///< not a divisor of a chunk: zones meet within chunks
    std::uint32_t largest = 600;      ///< sectors of one write
    std::uint32_t block = 1;          ///< sectors: all is a multiple of it
    std::uint32_t discards = 5;       ///< of a hundred operations
    std::uint32_t pause_us = 0;
    bool only_zeroes = false; ///< what was discarded may read as anything: zeroes are written instead
};

/// What all writers share: the order of events.
class Clock {
public:
    std::uint64_t next() { return ++now_; }

private:
    std::atomic<std::uint64_t> now_ = 0;
};

/// One writer on one device.
class Writer {
public:
    Writer(const std::string& device, std::uint64_t sectors, unsigned number, unsigned writers, unsigned seed,
           Clock& clock, const LoadOptions& options);

    /// Is this sector one of its zones'?
    [[nodiscard]] bool owns(std::uint64_t sector) const;

    void run(const std::atomic<bool>& stop);

    /// What is known of its operations at this moment.
    [[nodiscard]] std::vector<Operation> log() const;

    /// Of which instants a picture of the device can be; ends the program where it shows something that never
    /// was. More than one: what only makes zeroes leaves no number, nor does what was zeroed after it.
    std::vector<Span> instants(const std::vector<std::byte>& picture, const std::string& what);

private:
    void step();
    void replay(const std::vector<Operation>& log, std::uint64_t until);
    [[nodiscard]] std::vector<std::uint32_t> numbers_in(const std::vector<std::byte>& picture,
                                                        const std::string& what) const;

    File device_;
    std::uint64_t sectors_;
    unsigned number_, writers_;
    std::mt19937 chance_;
    Clock& clock_;
    LoadOptions options_;
    mutable std::mutex lock_;
    std::vector<Operation> log_;
    std::vector<std::uint32_t> state_; ///< by sector: the operation that it shows, 0: zeroes
    std::uint64_t replayed_ = 0;
};

/// Several writers on several devices.
class Load {
public:
    Load(std::vector<std::string> devices, unsigned writers, unsigned seed, const LoadOptions& options);
    ~Load();
    Load(const Load&) = delete;
    Load& operator=(const Load&) = delete;
    Load(Load&&) = delete;
    Load& operator=(Load&&) = delete;

    void stop();
    /// Pictures of all devices, in their order, must be of one instant not before @p since.
    void check(const std::vector<std::vector<std::byte>>& pictures, std::uint64_t since,
               const std::string& what);
    /// A moment: what has ended by now is in every later picture.
    std::uint64_t now() { return clock_.next(); }

private:
    std::vector<std::string> devices_;
    Clock clock_;
    std::vector<std::unique_ptr<Writer>> writers_; ///< those of the first device first
    std::vector<std::thread> threads_;
    std::atomic<bool> stop_ = false;
};

/// All bytes of a device, past the page cache.
std::vector<std::byte> picture_of(const File& device);

} // namespace snap
