// SPDX-License-Identifier: MIT
#include "device/system.hpp"

#include <algorithm>
#include <charconv>
#include <fmt/format.h>
#include <string_view>
#include <sys/sysmacros.h>
#include <system_error>

namespace filterd::device {

using blkfilter::DeviceId;

namespace {

void require(int result, const char* what) {
    if (result < 0)
        throw std::system_error{-result, std::generic_category(), what};
}

std::optional<std::string> property(sd_device* device, const char* name) {
    const char* value = nullptr;
    return sd_device_get_property_value(device, name, &value) >= 0 && *value
               ? std::optional<std::string>{value}
               : std::nullopt;
}

/// Of several, the first one that udev knows.
std::optional<std::string> property(sd_device* device, std::initializer_list<const char*> names) {
    for (const auto* name : names)
        if (auto value = property(device, name))
            return value;
    return {};
}

/// What udev has escaped, as PARTLABEL: "\x20" for a space.
std::string unescape(std::string_view text) {
    std::string plain;
    for (std::size_t i = 0; i < text.size(); ++i) {
        unsigned int code = 0;
        const auto* digits = text.data() + i + 2;
        if (text.substr(i, 2) == "\\x" && i + 4 <= text.size() &&
            std::from_chars(digits, digits + 2, code, 16).ptr == digits + 2) {
            plain.push_back(static_cast<char>(code));
            i += 3;
        } else {
            plain.push_back(text[i]);
        }
    }
    return plain;
}

std::optional<DeviceId> id_of(sd_device* device) {
    dev_t number = 0;
    if (sd_device_get_devnum(device, &number) < 0)
        return {};
    const auto text = property(device, "DISKSEQ");
    std::uint64_t diskseq = 0;
    if (text && std::from_chars(text->data(), text->data() + text->size(), diskseq).ec == std::errc{})
        return DeviceId{major(number), minor(number), diskseq};
    // An event from before the kernel said it.
    const auto found = DeviceId::from_number(major(number), minor(number));
    return found ? std::optional{*found} : std::nullopt;
}

std::optional<Facts> facts_of(sd_device* device) {
    const auto id = id_of(device);
    const char* name = nullptr;
    const char* type = nullptr;
    if (!id || sd_device_get_sysname(device, &name) < 0)
        return {};
    Facts facts{.id = *id,
                .name = name,
                .partition =
                    sd_device_get_devtype(device, &type) >= 0 && std::string_view{type} == "partition",
                .uuid = property(device, "ID_FS_UUID"),
                .partuuid = property(device, {"ID_PART_ENTRY_UUID", "PARTUUID"}),
                .serial = property(device, {"ID_SERIAL_SHORT", "ID_SERIAL", "ID_SCSI_SERIAL"}),
                .wwn = property(device, {"ID_WWN_WITH_EXTENSION", "ID_WWN"}),
                .model = property(device, "ID_MODEL")};
    if (const auto label = property(device, {"ID_PART_ENTRY_NAME", "PARTNAME"}))
        facts.partlabel = unescape(*label);
    const char* node = nullptr;
    if (sd_device_get_devname(device, &node) >= 0)
        facts.links.emplace_back(node);
    for (const char* link = sd_device_get_devlink_first(device); link;
         link = sd_device_get_devlink_next(device))
        facts.links.emplace_back(link);
    std::ranges::sort(facts.links);
    return facts;
}

struct Unref {
    void operator()(sd_device_enumerator* enumerator) const { sd_device_enumerator_unref(enumerator); }
};

/// How many devices lie below one, at most.
int depth(const std::filesystem::path& folder) {
    std::error_code error;
    int deepest = 0;
    for (const auto& slave : std::filesystem::directory_iterator{folder / "slaves", error})
        deepest = std::max(deepest, 1 + depth(slave.path()));
    // A partition has no slaves of its own; what its disk lies on is below it, too.
    if (std::filesystem::exists(folder / "partition", error))
        deepest = std::max(deepest, 1 + depth(std::filesystem::canonical(folder, error).parent_path()));
    return deepest;
}

} // namespace

Devices enumerate() {
    sd_device_enumerator* raw = nullptr;
    require(sd_device_enumerator_new(&raw), "sd_device_enumerator_new");
    const std::unique_ptr<sd_device_enumerator, Unref> enumerator{raw};
    require(sd_device_enumerator_add_match_subsystem(raw, "block", 1), "sd_device_enumerator");
    Devices devices;
    for (auto* device = sd_device_enumerator_get_device_first(raw); device;
         device = sd_device_enumerator_get_device_next(raw))
        if (auto facts = facts_of(device))
            devices.insert_or_assign(facts->id, std::move(*facts));
    return devices;
}

Monitor::Monitor(sd_event* event, Appeared appeared, Gone gone)
    : appeared_{std::move(appeared)}, gone_{std::move(gone)} {
    // A storm of hot-plugging must not overflow it.
    constexpr std::size_t buffer_bytes = 16 << 20;
    require(sd_device_monitor_new(&monitor_), "sd_device_monitor_new");
    require(sd_device_monitor_filter_add_match_subsystem_devtype(monitor_, "block", nullptr),
            "sd_device_monitor");
    static_cast<void>(sd_device_monitor_set_receive_buffer_size(monitor_, buffer_bytes));
    require(sd_device_monitor_attach_event(monitor_, event), "sd_device_monitor_attach_event");
    require(sd_device_monitor_start(monitor_, on_event, this), "sd_device_monitor_start");
}

Monitor::~Monitor() {
    sd_device_monitor_unref(monitor_);
}

int Monitor::on_event(sd_device_monitor*, sd_device* device, void* self) {
    static_cast<Monitor*>(self)->heard(device);
    return 0;
}

void Monitor::heard(sd_device* device) {
    sd_device_action_t action = SD_DEVICE_CHANGE;
    static_cast<void>(sd_device_get_action(device, &action));
    if (action == SD_DEVICE_REMOVE) {
        if (const auto id = id_of(device))
            gone_(*id);
    } else if (const auto facts = facts_of(device)) {
        appeared_(*facts);
    }
}

std::vector<DeviceId> upper_first(std::vector<DeviceId> devices) {
    const auto folder = [](const DeviceId& device) {
        return std::filesystem::path{fmt::format("/sys/dev/block/{}", device.number())};
    };
    std::ranges::sort(devices, std::greater{}, [&](const DeviceId& device) { return depth(folder(device)); });
    return devices;
}

} // namespace filterd::device
