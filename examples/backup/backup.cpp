// SPDX-License-Identifier: MIT
/// A backup program of one page, with libblkfilter and without filterd.
///
///     backup full /dev/vdb COPY STORAGE-FOLDER           copies the whole device; prints a base
///     backup incremental /dev/vdb COPY STORAGE-FOLDER BASE   brings the copy up to date; prints the next
///     base
///
/// COPY is a file as large as the device. Old data goes to files in STORAGE-FOLDER, on ext4 or xfs. See
/// README.md for what is missing in it.
#include <blkfilter/blksnap.hpp>
#include <blkfilter/control.hpp>
#include <blkfilter/file_descriptor.hpp>

#include <atomic>
#include <fcntl.h>
#include <fstream>
#include <iostream>
#include <stdexcept>
#include <thread>
#include <unistd.h>

namespace {

using namespace blkfilter;
using namespace blkfilter::blksnap;

constexpr std::uint64_t storage_bytes = 256 << 20; // at a time

/// The value, or an exception with the library's message.
template <class T>
T must(Result<T> result) {
    if (!result)
        throw std::runtime_error{result.error().message};
    if constexpr (!std::is_void_v<T>)
        return *std::move(result);
}

/// Gives the snapshot storage when the kernel asks for it, while the copy goes on.
class Feeder {
public:
    Feeder(const Snapshot& snapshot, std::string folder)
        : thread_{[this, &snapshot, folder = std::move(folder)] {
              while (!ends_) {
                  const auto event = snapshot.wait(std::chrono::milliseconds{500});
                  if (!event)
                      return; // the snapshot is gone: reading its image fails
                  if (*event && std::holds_alternative<LowSpace>((*event)->what))
                      if (auto more = Storage::in_folder(folder, storage_bytes))
                          if (const auto done = snapshot.append(*more); !done)
                              std::cerr << "backup: " << done.error().message << '\n';
              }
          }} {}
    ~Feeder() {
        ends_ = true;
        thread_.join();
    }

private:
    std::atomic<bool> ends_{};
    std::thread thread_;
};

void copy(const std::string& image, const std::string& file, const std::vector<SectorRange>& ranges) {
    std::ifstream from{image, std::ios::binary};
    std::fstream to{file, std::ios::binary | std::ios::in | std::ios::out};
    std::vector<char> piece;
    for (const auto& range : ranges)
        for (std::uint64_t at = range.sector * sector_bytes, end = at + range.sectors * sector_bytes;
             at < end; at += piece.size()) {
            piece.resize(std::min<std::uint64_t>(end - at, 1 << 20));
            from.seekg(static_cast<std::streamoff>(at))
                .read(piece.data(), static_cast<std::streamsize>(piece.size()));
            to.seekp(static_cast<std::streamoff>(at))
                .write(piece.data(), static_cast<std::streamsize>(piece.size()));
            if (!from || !to)
                throw std::runtime_error{"copying has failed at byte " + std::to_string(at)};
        }
    if (!to.flush())
        throw std::runtime_error{file + ": cannot be written"};
}

void sync(const std::string& file) {
    const FileDescriptor open_file{::open(file.c_str(), O_WRONLY | O_CLOEXEC)};
    if (open_file.get() < 0 || fsync(open_file.get()) != 0)
        throw std::runtime_error{file + ": cannot be written to the disk"};
}

void run(const std::string& node, const std::string& file, const std::string& folder,
         const std::string* base) {
    const auto control = must(Control::open());
    const auto device = must(DeviceId::from_path(node));
    const auto attached = control.attach(device, {.name = std::string{filter_name}});
    if (!attached && attached.error().code != EALREADY)
        throw std::runtime_error{attached.error().message};

    const auto module = must(Module::open());
    const auto snapshot = must(Snapshot::create(module)); // ends with this function
    const Tracker tracker{control, device};
    must(tracker.add_to(snapshot.id()));
    must(snapshot.append(must(Storage::in_folder(folder, storage_bytes))));
    must(snapshot.take());
    const Feeder feeder{snapshot, folder};

    const auto map = must(tracker.map());
    const auto& info = map.info();
    const auto part = must(tracker.part());
    if (!base)
        std::ofstream{file, std::ios::binary}.close();
    copy(part.image, file,
         base ? must(map.changed_since(must(MapInfo::parse(*base))))
              : std::vector<SectorRange>{{.sector = 0, .sectors = info.size_bytes / sector_bytes}});
    // An image that failed meanwhile was not what the device had been.
    if (must(tracker.part()).error != 0)
        throw std::runtime_error{"the snapshot was lost while it was copied"};
    // Whoever has a base relies on the copy: so it is on the disk first.
    sync(file);
    std::cout << info.to_string() << '\n';
}

} // namespace

int main(int argc, char** argv) {
    const std::vector<std::string> words{argv + 1, argv + argc};
    const bool is_full = words.size() == 4 && words[0] == "full";
    if (!is_full && !(words.size() == 5 && words[0] == "incremental")) {
        std::cerr << "backup full DEVICE COPY STORAGE-FOLDER | backup incremental DEVICE COPY STORAGE-FOLDER "
                     "BASE\n";
        return 2;
    }
    try {
        run(words[1], words[2], words[3], is_full ? nullptr : &words[4]);
    } catch (const std::exception& error) {
        std::cerr << "backup: " << error.what() << '\n';
        return 1;
    }
}
