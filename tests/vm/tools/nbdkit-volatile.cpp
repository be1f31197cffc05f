// SPDX-License-Identifier: MIT
// An nbdkit plugin: a disk with a volatile cache, which is this process' memory.
//
//   nbdkit nbdkit-volatile-plugin.so store=/dev/DISK
//
// What is flushed, and what is written with FUA, is on the store before it is answered; so is one in four of
// the other writes, as a cache writes back what it likes when it likes. The rest is lost with the process.
// The store is written past the page cache.

#define NBDKIT_API_VERSION 2
#include <nbdkit-plugin.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <map>
#include <random>
#include <string>
#include <unistd.h>

namespace {

constexpr std::uint64_t block_bytes = 4096;

struct alignas(block_bytes) Block {
    std::array<std::byte, block_bytes> bytes;
};

std::string store_name;
int store = -1;
// By the number of the block.
std::map<std::uint64_t, Block> cache;
std::minstd_rand chance{std::random_device{}()};

int failed(const char* what) {
    nbdkit_error("%s %s: %m", what, store_name.c_str());
    return -1;
}

bool load(std::uint64_t number, Block& block) {
    if (const auto found = cache.find(number); found != cache.end()) {
        block = found->second;
        return true;
    }
    return ::pread(store, block.bytes.data(), block_bytes, static_cast<off_t>(number * block_bytes)) ==
           block_bytes;
}

bool make_durable(std::uint64_t number, const Block& block) {
    return ::pwrite(store, block.bytes.data(), block_bytes, static_cast<off_t>(number * block_bytes)) ==
           block_bytes;
}

/// Calls @p on_block(number, first byte in it, byte of the request, length) for each block.
template <typename OnBlock>
bool for_each_block(std::uint64_t offset, std::uint32_t count, OnBlock on_block) {
    for (std::uint32_t done = 0; done < count;) {
        const std::uint64_t at = offset + done;
        const std::uint64_t first = at % block_bytes;
        const auto length =
            static_cast<std::uint32_t>(std::min<std::uint64_t>(block_bytes - first, count - done));
        if (!on_block(at / block_bytes, first, done, length))
            return false;
        done += length;
    }
    return true;
}

int config(const char* key, const char* value) {
    if (std::strcmp(key, "store") != 0) {
        nbdkit_error("there is no parameter '%s'", key);
        return -1;
    }
    store_name = value;
    return 0;
}

int get_ready() {
    store = ::open(store_name.c_str(), O_RDWR | O_DIRECT | O_CLOEXEC);
    return store < 0 ? failed("opening") : 0;
}

void* open_connection(int /*readonly*/) {
    return NBDKIT_HANDLE_NOT_NEEDED;
}

std::int64_t get_size(void* /*handle*/) {
    return ::lseek(store, 0, SEEK_END);
}

int can_fua(void* /*handle*/) {
    return NBDKIT_FUA_NATIVE;
}

int read(void* /*handle*/, void* buffer, std::uint32_t count, std::uint64_t offset, std::uint32_t /*flags*/) {
    const bool done = for_each_block(offset, count, [&](auto number, auto first, auto at, auto length) {
        Block block;
        if (!load(number, block))
            return false;
        std::memcpy(static_cast<std::byte*>(buffer) + at, block.bytes.data() + first, length);
        return true;
    });
    return done ? 0 : failed("reading");
}

int write(void* /*handle*/, const void* buffer, std::uint32_t count, std::uint64_t offset,
          std::uint32_t flags) {
    const bool durable = (flags & NBDKIT_FLAG_FUA) != 0 || chance() % 4 == 0;
    const bool done = for_each_block(offset, count, [&](auto number, auto first, auto at, auto length) {
        Block block;
        if (!load(number, block))
            return false;
        std::memcpy(block.bytes.data() + first, static_cast<const std::byte*>(buffer) + at, length);
        if (!durable) {
            cache[number] = block;
            return true;
        }
        cache.erase(number);
        return make_durable(number, block);
    });
    return done ? 0 : failed("writing");
}

int flush(void* /*handle*/, std::uint32_t /*flags*/) {
    for (const auto& [number, block] : cache)
        if (!make_durable(number, block))
            return failed("flushing");
    cache.clear();
    return 0;
}

nbdkit_plugin plugin() {
    nbdkit_plugin result{};
    result.name = "volatile";
    result.config = config;
    result.get_ready = get_ready;
    result.open = open_connection;
    result.get_size = get_size;
    result.can_fua = can_fua;
    result.pread = read;
    result.pwrite = write;
    result.flush = flush;
    return result;
}

nbdkit_plugin the_plugin = plugin();

} // namespace

// Requests are not answered in parallel: nothing here is for threads.
#define THREAD_MODEL NBDKIT_THREAD_MODEL_SERIALIZE_ALL_REQUESTS
NBDKIT_REGISTER_PLUGIN(the_plugin)
