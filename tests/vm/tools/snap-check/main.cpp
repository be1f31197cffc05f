// SPDX-License-Identifier: MIT
// Snapshots in a row of devices that are written all the time:
//
//   snap-check [OPTION...] STORAGE DEVICE...
//
// STORAGE is a block device, or a folder for files that are pinned. Each image must be what the devices were
// at one instant, and stay so; the change map must have every block that differs from the image before; and
// in the end the devices must be as they were written. SEED in the environment makes the run.

#include "load.hpp"

#include <CLI/CLI.hpp>
#include <cstdlib>
#include <filesystem>

namespace {

using namespace snap;

struct Options {
    std::string storage;
    std::vector<std::string> devices;
    unsigned rounds = 10;
    unsigned writers = 4;
    std::uint64_t storage_mib = 256;
    unsigned hold_ms = 100;
    bool image_writes = false;
    bool direct = false;
    LoadOptions load;
};

/// What was seen of a device at the snapshot before.
struct Before {
    std::vector<std::byte> picture;
    blksnap_cbtinfo info{};
};

class Check {
public:
    explicit Check(const Options& options)
        : options_(options),
          seed_(std::getenv("SEED") ? static_cast<unsigned>(std::atoi(std::getenv("SEED"))) : 1),
          chance_(seed_), control_("/dev/" BLKSNAP_CTL, O_RDWR), before_(options.devices.size()),
          load_(options.devices, options.writers, seed_ * 1000, options.load) {
        for (const std::string& device : options_.devices)
            devices_.emplace_back(device, O_RDONLY);
    }

    void run() {
        for (unsigned i = 1; i <= options_.rounds; i++)
            round(i);
        load_.stop();
        const std::uint64_t since = load_.now();
        std::vector<std::vector<std::byte>> pictures;
        for (const std::string& device : options_.devices)
            pictures.push_back(picture_of(File(device, O_RDONLY | O_DIRECT)));
        load_.check(pictures, since, "the devices in the end");
        fmt::print("{} snapshots, {} chunks copied, {} writes waited, {} blocks differed, {} reported\n",
                   options_.rounds, copied_, waited_, differing_, reported_);
        if (copied_ == 0 || (differing_ == 0 && options_.rounds > 1))
            fail("nothing was written while it was looked at");
    }

private:
    void give_storage(Snapshot& snapshot) {
        const std::uint64_t sectors = options_.storage_mib << 11;
        if (!std::filesystem::is_directory(options_.storage)) {
            // In pieces, as a file's extents would be.
            std::vector<blksnap_sectors> ranges;
            constexpr std::uint64_t piece = 5000 * 8;
            for (std::uint64_t sector = 0; sector < sectors; sector += piece)
                ranges.push_back({sector, std::min(piece, sectors - sector)});
            expect_success(snapshot.append(options_.storage, ranges), "append " + options_.storage);
            return;
        }
        const std::string path = fmt::format("{}/storage", options_.storage);
        const File file(path, O_RDWR | O_CREAT | O_TRUNC);
        if (::fallocate(file.fd(), 0, 0, static_cast<off_t>(sectors * sector_bytes)) < 0)
            fail("fallocate {}: {}", path, checks::name_of(errno));
        expect_success(snapshot.append_file(file, options_.direct ? BLKSNAP_APPEND_DIRECT : 0),
                       "append " + path);
    }

    void round(unsigned number) {
        const std::string what = fmt::format("snapshot {}", number);
        Snapshot snapshot(control_);
        for (const File& device : devices_)
            snapshot.add(device);
        give_storage(snapshot);
        const std::uint64_t since = load_.now();
        expect_success(snapshot.take(), what);
        std::vector<std::vector<std::byte>> pictures;
        for (const File& device : devices_)
            pictures.push_back(picture_of(File(image_of(device).first, O_RDONLY | O_DIRECT)));
        for (const File& device : devices_)
            if (image_of(device).second != 0)
                fail("{} of {} is corrupted: {}", what, device.path(),
                     checks::name_of(-image_of(device).second));
        load_.check(pictures, since, what);
        for (std::size_t i = 0; i < devices_.size(); i++)
            check_map(i, pictures[i], what);
        if (options_.image_writes)
            write_images(pictures);
        std::this_thread::sleep_for(std::chrono::milliseconds(chance_() % (options_.hold_ms + 1)));
        for (std::size_t i = 0; i < devices_.size(); i++)
            if (picture_of(File(image_of(devices_[i]).first, O_RDONLY | O_DIRECT)) != pictures[i])
                fail("{} of {} has changed while it was held", what, devices_[i].path());
        const blksnap_statistics statistics = snapshot.statistics();
        copied_ += statistics.copied;
        waited_ += statistics.waited;
        if (statistics.copied > 1000 &&
            statistics.index_bytes > statistics.copied * 16 + 65536 * devices_.size())
            fail("{}: {} bytes of index for {} chunks", what, statistics.index_bytes, statistics.copied);
    }

    void check_map(std::size_t i, const std::vector<std::byte>& picture, const std::string& what) {
        const blksnap_cbtinfo info = cbt_info(devices_[i]);
        const std::vector<std::uint8_t> map = change_map(devices_[i], info);
        Before& before = before_[i];
        const bool same =
            std::memcmp(&info.generation_id, &before.info.generation_id, sizeof(info.generation_id)) == 0;
        const bool first = before.picture.empty();
        if (!first && info.changes_number != (same ? before.info.changes_number + 1 : 1))
            fail("{}: number {} after {}, {} generation", what, info.changes_number,
                 before.info.changes_number, same ? "the same" : "another");
        if (!first && !same && before.info.changes_number != 255)
            fail("{}: another generation after number {}", what, before.info.changes_number);
        for (std::uint32_t block = 0; same && block < info.block_count; block++) {
            const std::uint64_t offset = std::uint64_t{block} * info.block_size;
            const std::uint64_t n = std::min<std::uint64_t>(info.block_size, picture.size() - offset);
            const bool differs = std::memcmp(picture.data() + offset, before.picture.data() + offset, n) != 0;
            const bool reported = map[block] > before.info.changes_number;
            if (differs && !reported)
                fail("{}: block {} of {} differs from the snapshot before, but its number is {} (that one "
                     "was {})",
                     what, block, devices_[i].path(), map[block], before.info.changes_number);
            differing_ += differs ? 1 : 0;
            reported_ += reported ? 1 : 0;
        }
        before.picture = picture;
        before.info = info;
    }

    /// Random sectors of the images are written; their blocks must be in the map from now on.
    void write_images(std::vector<std::vector<std::byte>>& pictures) {
        constexpr unsigned writes = 40;
        constexpr std::size_t largest = 300 * sector_bytes;
        for (std::size_t i = 0; i < devices_.size(); i++) {
            const File image(image_of(devices_[i]).first, O_RDWR | O_DIRECT);
            const std::uint64_t block = options_.load.block * sector_bytes;
            std::vector<std::byte> memory(largest + 4096);
            auto* data = reinterpret_cast<std::byte*>(
                (reinterpret_cast<std::uintptr_t>(memory.data()) + 4095) / 4096 * 4096);
            for (unsigned k = 0; k < writes; k++) {
                const std::uint64_t bytes = (chance_() % (largest / block) + 1) * block;
                const std::uint64_t offset = chance_() % ((pictures[i].size() - bytes) / block + 1) * block;
                std::memset(data, static_cast<int>(chance_()), bytes);
                if (::pwrite(image.fd(), data, bytes, static_cast<off_t>(offset)) !=
                    static_cast<ssize_t>(bytes))
                    fail("writing to {}: {}", image.path(), checks::name_of(errno));
                std::memcpy(pictures[i].data() + offset, data, bytes);
                expect_marked(i, offset, bytes);
            }
        }
    }

    void expect_marked(std::size_t i, std::uint64_t offset, std::uint64_t bytes) {
        const blksnap_cbtinfo info = cbt_info(devices_[i]);
        const std::vector<std::uint8_t> map = change_map(devices_[i], info);
        for (std::uint64_t block = offset / info.block_size; block <= (offset + bytes - 1) / info.block_size;
             block++)
            if (map[block] != info.changes_number)
                fail("a write to the image of {} is not in the map: block {} has {}", devices_[i].path(),
                     block, map[block]);
    }

    const Options& options_;
    unsigned seed_;
    std::mt19937 chance_;
    File control_;
    std::vector<File> devices_;
    std::vector<Before> before_;
    Load load_;
    std::uint64_t copied_ = 0, waited_ = 0, differing_ = 0, reported_ = 0;
};

} // namespace

int main(int argc, char** argv) {
    Options options;
    CLI::App app("snapshots in a row of devices that are written all the time");
    app.add_option("storage", options.storage)->required();
    app.add_option("devices", options.devices)->required();
    app.add_option("--rounds", options.rounds);
    app.add_option("--writers", options.writers, "for each device");
    app.add_option("--storage-mib", options.storage_mib);
    app.add_option("--hold-ms", options.hold_ms);
    app.add_flag("--image-writes", options.image_writes);
    app.add_flag("--direct", options.direct, "storage is a folder: the file there is not pinned");
    app.add_option("--discards", options.load.discards, "of a hundred operations");
    app.add_flag("--only-zeroes", options.load.only_zeroes,
                 "no discards: the device does not read as zeroes afterwards");
    app.add_option("--block", options.load.block, "sectors");
    app.add_option("--zone", options.load.zone_sectors, "sectors");
    app.add_option("--largest", options.load.largest, "sectors of one operation");
    app.add_option("--pause-us", options.load.pause_us);
    CLI11_PARSE(app, argc, argv);
    Check(options).run();
}
