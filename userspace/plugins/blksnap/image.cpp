// SPDX-License-Identifier: MIT
#include "image.hpp"

#include <blkfilter/types.hpp>

#include <blkid/blkid.h>
#include <cerrno>
#include <map>
#include <memory>
#include <string_view>
#include <system_error>

namespace filterd::snapshots {

namespace {

using blkfilter::sector_bytes;
using Probe = std::unique_ptr<blkid_struct_probe, decltype(&blkid_free_probe)>;

std::string value_of(blkid_probe probe, const char* name) {
    const char* value = nullptr;
    return blkid_probe_lookup_value(probe, name, &value, nullptr) == 0 && value ? value : "";
}

/// What the part that the probe is set to says of itself.
void look_into(blkid_probe probe, Content& content) {
    blkid_probe_enable_superblocks(probe, 1);
    blkid_probe_set_superblocks_flags(probe, BLKID_SUBLKS_TYPE | BLKID_SUBLKS_UUID);
    blkid_probe_enable_partitions(probe, 0);
    if (blkid_do_safeprobe(probe) == 0) {
        content.type = value_of(probe, "TYPE");
        content.uuid = value_of(probe, "UUID");
    }
}

std::vector<Content> partitions_of(blkid_probe probe) {
    std::vector<Content> all;
    blkid_probe_enable_partitions(probe, 1);
    blkid_probe_enable_superblocks(probe, 0);
    auto* list = blkid_probe_get_partitions(probe);
    for (int i = 0; list && i < blkid_partlist_numof_partitions(list); ++i) {
        auto* one = blkid_partlist_get_partition(list, i);
        if (!blkid_partition_is_extended(one))
            all.push_back(
                {.partition = static_cast<std::uint32_t>(blkid_partition_get_partno(one)),
                 .offset_bytes = static_cast<std::uint64_t>(blkid_partition_get_start(one)) * sector_bytes,
                 .size_bytes = static_cast<std::uint64_t>(blkid_partition_get_size(one)) * sector_bytes});
    }
    return all;
}

} // namespace

std::vector<Content> contents_of(const std::string& node) {
    const Probe probe{blkid_new_probe_from_filename(node.c_str()), blkid_free_probe};
    if (!probe)
        throw std::system_error{errno != 0 ? errno : EIO, std::generic_category(), node};
    auto all = partitions_of(probe.get());
    const int file = blkid_probe_get_fd(probe.get());
    if (all.empty())
        all.emplace_back();
    for (auto& content : all) {
        const Probe part{blkid_new_probe(), blkid_free_probe};
        if (part && blkid_probe_set_device(part.get(), file, static_cast<blkid_loff_t>(content.offset_bytes),
                                           static_cast<blkid_loff_t>(content.size_bytes)) == 0)
            look_into(part.get(), content);
    }
    return all;
}

std::optional<std::string> mount_options_of(const std::string& type) {
    static const std::map<std::string, std::string, std::less<>> known{{"ext2", "ro"},
                                                                       {"ext3", "ro,noload"},
                                                                       {"ext4", "ro,noload"},
                                                                       {"xfs", "ro,norecovery,nouuid"},
                                                                       {"f2fs", "ro,norecovery"},
                                                                       {"vfat", "ro"},
                                                                       {"exfat", "ro"},
                                                                       {"ntfs", "ro"},
                                                                       {"iso9660", "ro"},
                                                                       {"udf", "ro"},
                                                                       {"squashfs", "ro"},
                                                                       {"erofs", "ro"},
                                                                       {"jfs", "ro"},
                                                                       {"nilfs2", "ro,norecovery"}};
    const auto found = known.find(type);
    return found == known.end() ? std::nullopt : std::optional{found->second};
}

} // namespace filterd::snapshots
