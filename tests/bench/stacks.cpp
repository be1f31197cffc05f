// SPDX-License-Identifier: MIT
/// @file
/// What filterd takes for a thousand stacks of three filters on a simulated kernel: reading the files,
/// planning and applying; and planning again when there is nothing to do. CPU time and the most memory that
/// it had at a time.
#include "daemon/keeper.hpp"
#include "engine/simulated.hpp"

#include <atomic>
#include <cstdlib>
#include <ctime>
#include <fmt/format.h>
#include <fstream>
#include <iostream>
#include <malloc.h>
#include <new>
#include <unistd.h>

namespace {

std::atomic<std::size_t> in_use;
std::atomic<std::size_t> peak;

void count(std::size_t size) {
    const auto now = in_use += size;
    if (now > peak)
        peak = now;
}

} // namespace

void* operator new(std::size_t size) {
    auto* memory = std::malloc(size);
    if (!memory)
        throw std::bad_alloc{};
    count(malloc_usable_size(memory));
    return memory;
}

void operator delete(void* memory) noexcept {
    in_use -= memory ? malloc_usable_size(memory) : 0;
    std::free(memory);
}

void operator delete(void* memory, std::size_t) noexcept {
    operator delete(memory);
}

namespace {

using namespace filterd;

constexpr std::uint32_t disks = 1000;
constexpr double mebibyte = 1 << 20;

class NoPlugins final : public Filters {
public:
    std::optional<blkfilter::Bytes> options(const config::Filter&, config::Diagnostics&) override {
        return blkfilter::to_bytes("block_size=65536");
    }
    blkfilter::Result<void> make_usable(const std::string&) override { return {}; }
    bool has_recovered() override { return false; }
    std::string describe(const std::string&, const blkfilter::Bytes&) override { return {}; }
    bool keeps_history(const std::string&) override { return false; }
    void attached(const std::string&, const blkfilter::DeviceId&,
                  const std::map<std::string, std::string>&) override {}
    nlohmann::json status(const std::string&, const blkfilter::DeviceId&) override { return nullptr; }
};

std::filesystem::path write_files() {
    auto folder = std::filesystem::temp_directory_path() / fmt::format("bench-stacks-{}", getpid());
    std::filesystem::create_directories(folder);
    std::ofstream file{folder / "filterd.yaml"};
    file << "version: 1\ndevices:\n";
    for (std::uint32_t i = 0; i < disks; ++i)
        file << fmt::format("  - name: disk{}\n    match: {{serial: S{:06}}}\n    stack:\n      - filter: a\n"
                            "      - {{filter: b, altitude: 1000.5}}\n      - filter: c\n",
                            i, i);
    return folder;
}

device::Devices plug_in(SimulatedEngine& kernel) {
    device::Devices devices;
    for (std::uint32_t i = 0; i < disks; ++i) {
        const auto name = fmt::format("sd{}", i);
        device::Facts facts{.id = {8, i, i + 1},
                            .name = name,
                            .links = {"/dev/" + name, fmt::format("/dev/disk/by-id/scsi-S{:06}", i)},
                            .serial = fmt::format("S{:06}", i)};
        kernel.add_device(facts.id);
        devices.emplace(facts.id, std::move(facts));
    }
    return devices;
}

double seconds_of_cpu() {
    return static_cast<double>(std::clock()) / CLOCKS_PER_SEC;
}

} // namespace

int main() {
    const auto folder = write_files();
    SimulatedEngine kernel;
    for (const auto* name : {"a", "b", "c"})
        kernel.register_filter(name, blkfilter::Altitude{static_cast<std::uint64_t>(name[0]) * 1'000'000});
    auto devices = plug_in(kernel);
    NoPlugins filters;
    const auto before = in_use.load();
    peak = before;
    const auto start = seconds_of_cpu();
    Keeper keeper{kernel, filters, {folder / "filterd.yaml", folder / "none"}, {}, [](const Notice&) {}};
    keeper.begin(std::move(devices));
    keeper.reload();
    const auto applied = seconds_of_cpu();
    const auto reports = keeper.plan({});
    const auto planned = seconds_of_cpu();
    std::filesystem::remove_all(folder);
    if (!reports || reports->size() != disks || !reports->front().plan.steps.empty()) {
        std::cerr << "the stacks are not as declared\n";
        return 1;
    }
    std::cout << fmt::format(
        "filterd {} stacks: read, planned and applied in {:.2f} s of CPU, planned again in {:.2f} s; heap at "
        "most {:.1f} MiB\n",
        disks, applied - start, planned - applied, static_cast<double>(peak - before) / mebibyte);
    return 0;
}
