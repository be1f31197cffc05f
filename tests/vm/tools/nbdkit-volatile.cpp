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
#include <vector>

namespace {

constexpr std::uint64_t block_bytes = 4096;
constexpr std::size_t most_at_once = 1 << 20;

struct alignas(block_bytes) Block {
    std::array<std::byte, block_bytes> bytes;
};

/// Neighbours: those from the one with this number on.
struct Blocks {
    std::uint64_t first = 0;
    std::vector<Block> data;

    [[nodiscard]] std::size_t size() const { return data.size() * block_bytes; }
    [[nodiscard]] off_t offset() const { return static_cast<off_t>(first * block_bytes); }
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

/// Those that a request touches, without what is in them.
Blocks touched(std::uint64_t offset, std::uint32_t count) {
    const std::uint64_t first = offset / block_bytes;
    return {first, std::vector<Block>((offset + count + block_bytes - 1) / block_bytes - first)};
}

bool load(Blocks& blocks) {
    if (::pread(store, blocks.data.data(), blocks.size(), blocks.offset()) !=
        static_cast<ssize_t>(blocks.size()))
        return false;
    for (auto found = cache.lower_bound(blocks.first);
         found != cache.end() && found->first - blocks.first < blocks.data.size(); ++found)
        blocks.data[found->first - blocks.first] = found->second;
    return true;
}

bool make_durable(const Blocks& blocks) {
    return ::pwrite(store, blocks.data.data(), blocks.size(), blocks.offset()) ==
           static_cast<ssize_t>(blocks.size());
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
    Blocks blocks = touched(offset, count);
    if (!load(blocks))
        return failed("reading");
    std::memcpy(buffer, blocks.data.data()->bytes.data() + offset % block_bytes, count);
    return 0;
}

int write(void* /*handle*/, const void* buffer, std::uint32_t count, std::uint64_t offset,
          std::uint32_t flags) {
    Blocks blocks = touched(offset, count);
    if ((offset % block_bytes != 0 || count % block_bytes != 0) && !load(blocks))
        return failed("reading");
    std::memcpy(blocks.data.data()->bytes.data() + offset % block_bytes, buffer, count);
    if ((flags & NBDKIT_FLAG_FUA) == 0 && chance() % 4 != 0) {
        for (std::size_t i = 0; i < blocks.data.size(); ++i)
            cache[blocks.first + i] = blocks.data[i];
        return 0;
    }
    cache.erase(cache.lower_bound(blocks.first), cache.lower_bound(blocks.first + blocks.data.size()));
    return make_durable(blocks) ? 0 : failed("writing");
}

int flush(void* /*handle*/, std::uint32_t /*flags*/) {
    // Neighbours at once: one by one it takes longer than a cut-over waits.
    for (auto next = cache.begin(); next != cache.end();) {
        Blocks blocks{next->first, {}};
        for (; next != cache.end() && next->first == blocks.first + blocks.data.size() &&
               blocks.size() < most_at_once;
             ++next)
            blocks.data.push_back(next->second);
        if (!make_durable(blocks))
            return failed("flushing");
    }
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
