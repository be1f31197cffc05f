// SPDX-License-Identifier: MIT
#include "config/read.hpp"

#include <algorithm>
#include <array>
#include <fmt/format.h>
#include <sstream>
#include <yaml-cpp/eventhandler.h>

namespace filterd::config {

namespace {

constexpr std::uint64_t version = 1;
constexpr std::size_t filter_name_most = 31; // BLKFILTER_NAME_LENGTH with its NUL

// --- a device ---

using MatchText = std::optional<std::string> Match::*;

constexpr std::array<std::pair<std::string_view, MatchText>, 9> match_texts{{{"node", &Match::node},
                                                                             {"id", &Match::id},
                                                                             {"path", &Match::path},
                                                                             {"uuid", &Match::uuid},
                                                                             {"partuuid", &Match::partuuid},
                                                                             {"partlabel", &Match::partlabel},
                                                                             {"serial", &Match::serial},
                                                                             {"wwn", &Match::wwn},
                                                                             {"model", &Match::model}}};

void check_node(const Node& value, const std::string& path, Diagnostics& diagnostics) {
    if (!path.starts_with("/dev/"))
        diagnostics.error(value.position(), fmt::format("'node' must be a path in /dev, not '{}'", path));
    else if (path.find('/', std::string_view{"/dev/"}.size()) == std::string::npos)
        diagnostics.warning(
            value.position(),
            fmt::format("'{}' may be another device after the next boot: match by id, partuuid, "
                        "serial or wwn",
                        path));
}

Match read_match(const Node& node, Diagnostics& diagnostics) {
    static constexpr std::array<std::string_view, 10> keys{"node",      "id",     "path", "uuid",  "partuuid",
                                                           "partlabel", "serial", "wwn",  "model", "many"};
    Match match;
    const auto before = diagnostics.errors();
    const Mapping mapping{node, "a match", keys, diagnostics};
    for (const auto& [key, text] : match_texts)
        if (const auto value = mapping.find(key)) {
            match.*text = read_text(*value, fmt::format("'{}'", key), diagnostics);
            if (key == "node" && match.node)
                check_node(*value, *match.node, diagnostics);
        }
    if (const auto value = mapping.find("many"))
        match.many = read_boolean(*value, "'many'", diagnostics).value_or(false);
    if (before == diagnostics.errors() && std::ranges::none_of(match_texts, [&](const auto& entry) {
            return (match.*entry.second).has_value();
        }))
        diagnostics.error(node.position(),
                          "a match needs something to recognise the device by, such as 'id'");
    return match;
}

std::optional<std::string> read_filter_name(const Node& node, Diagnostics& diagnostics) {
    auto name = read_name(node, "'filter'", diagnostics);
    if (name && name->size() > filter_name_most) {
        diagnostics.error(node.position(),
                          fmt::format("the name of a filter has at most {} letters", filter_name_most));
        return {};
    }
    return name;
}

std::optional<Filter> read_filter(const Node& node, Diagnostics& diagnostics) {
    static constexpr std::array<std::string_view, 2> keys{"filter", "altitude"};
    const Mapping mapping{node, "a filter of a stack", keys, diagnostics, Mapping::Others::kept};
    Filter filter{.position = mapping.position(), .name = {}, .altitude = {}, .options = mapping.others()};
    const auto name = mapping.require("filter");
    if (const auto value = mapping.find("altitude"))
        filter.altitude = read_altitude(*value, "'altitude'", diagnostics);
    auto text = name ? read_filter_name(*name, diagnostics) : std::nullopt;
    if (!text)
        return {};
    filter.name = std::move(*text);
    return filter;
}

/// A filter is on a device at most once, and so is an altitude.
void check_stack(const std::vector<Filter>& stack, Diagnostics& diagnostics) {
    for (auto filter = stack.begin(); filter != stack.end(); ++filter)
        for (auto other = stack.begin(); other != filter; ++other) {
            if (filter->name == other->name)
                diagnostics.error(filter->position,
                                  fmt::format("filter '{}' is in the stack twice, first at {}", filter->name,
                                              other->position.to_string()));
            else if (const auto& altitude = filter->altitude; altitude && altitude == other->altitude)
                diagnostics.error(filter->position, fmt::format("altitude {} is that of '{}' at {} already",
                                                                altitude->to_string(), other->name,
                                                                other->position.to_string()));
        }
}

std::optional<Device> read_device(const Node& node, Diagnostics& diagnostics) {
    static constexpr std::array<std::string_view, 3> keys{"name", "match", "stack"};
    const Mapping mapping{node, "a device", keys, diagnostics};
    Device device{.position = mapping.position(), .name = {}, .match = {}, .stack = {}};
    const auto name = mapping.require("name");
    const auto match = mapping.require("match");
    const auto stack = mapping.require("stack");
    if (match)
        device.match = read_match(*match, diagnostics);
    if (stack)
        for (const auto& entry : read_list(*stack, "'stack'", diagnostics))
            if (auto filter = read_filter(entry, diagnostics))
                device.stack.push_back(std::move(*filter));
    check_stack(device.stack, diagnostics);
    auto text = name ? read_name(*name, "'name'", diagnostics) : std::nullopt;
    if (!text)
        return {};
    device.name = std::move(*text);
    return device;
}

// --- what is beside the devices ---

std::optional<Share> read_share(std::string_view text) {
    constexpr std::uint64_t most = 100;
    const auto percent = decimal(text.substr(0, text.size() - 1));
    if (!percent || *percent < 1 || *percent > most)
        return {};
    return Share{static_cast<std::uint32_t>(*percent * 10)};
}

/// A share of something, in percent.
std::optional<Share> read_percent(const Node& value, std::string_view what, Diagnostics& diagnostics) {
    const auto share = value.yaml().IsScalar() && value.yaml().Scalar().ends_with('%')
                           ? read_share(value.yaml().Scalar())
                           : std::nullopt;
    if (!share)
        diagnostics.error(value.position(),
                          fmt::format("{} must be from 1% to 100%, not {}", what, value.description()));
    return share;
}

void read_storage(const Node& node, Storage& storage, Diagnostics& diagnostics) {
    static constexpr std::array<std::string_view, 4> keys{"path", "limit", "step", "warn"};
    const Mapping mapping{node, "'storage'", keys, diagnostics};
    if (const auto value = mapping.find("path")) {
        storage.path = read_text(*value, "'path'", diagnostics);
        if (storage.path && !storage.path->starts_with('/'))
            diagnostics.error(value->position(),
                              fmt::format("'path' must begin with '/', not '{}'", *storage.path));
    }
    if (const auto value = mapping.find("step"))
        storage.step = read_bytes(*value, "'step'", diagnostics);
    if (const auto value = mapping.find("warn"))
        storage.warn = read_percent(*value, "'warn'", diagnostics);
    const auto limit = mapping.find("limit");
    if (!limit)
        return;
    if (limit->yaml().IsScalar() && limit->yaml().Scalar().ends_with('%')) {
        if (const auto share = read_percent(*limit, "'limit'", diagnostics))
            storage.limit = *share;
    } else if (const auto bytes = read_bytes(*limit, "'limit'", diagnostics)) {
        storage.limit = *bytes;
    }
}

void read_hooks(const Node& node, Hooks& hooks, Diagnostics& diagnostics) {
    constexpr std::uint64_t an_hour = 3600;
    static constexpr std::array<std::string_view, 3> keys{"before", "after", "seconds"};
    const Mapping mapping{node, "'hooks'", keys, diagnostics};
    if (const auto value = mapping.find("before"))
        hooks.before = read_text(*value, "'before'", diagnostics);
    if (const auto value = mapping.find("after"))
        hooks.after = read_text(*value, "'after'", diagnostics);
    if (const auto value = mapping.find("seconds"))
        hooks.seconds = read_number(*value, "'seconds'", 1, an_hour, diagnostics);
}

std::optional<Group> read_group(const Node& node, Diagnostics& diagnostics) {
    static constexpr std::array<std::string_view, 4> keys{"name", "devices", "storage", "hooks"};
    const Mapping mapping{node, "a group", keys, diagnostics};
    Group group{.position = mapping.position(), .name = {}, .devices = {}, .storage = {}, .hooks = {}};
    const auto name = mapping.require("name");
    const auto devices = mapping.require("devices");
    if (devices)
        for (const auto& entry : read_list(*devices, "'devices' of a group", diagnostics))
            if (auto device = read_name(entry, "a device of a group", diagnostics))
                group.devices.push_back(std::move(*device));
    if (const auto value = mapping.find("storage"))
        read_storage(*value, group.storage, diagnostics);
    if (const auto value = mapping.find("hooks"))
        read_hooks(*value, group.hooks, diagnostics);
    auto text = name ? read_name(*name, "'name'", diagnostics) : std::nullopt;
    if (!text)
        return {};
    group.name = std::move(*text);
    return group;
}

void read_defaults(const Node& node, Config& config, Diagnostics& diagnostics) {
    static constexpr std::array<std::string_view, 2> keys{"storage", "hooks"};
    const Mapping mapping{node, "'defaults'", keys, diagnostics};
    if (const auto value = mapping.find("storage"))
        read_storage(*value, config.storage, diagnostics);
    if (const auto value = mapping.find("hooks"))
        read_hooks(*value, config.hooks, diagnostics);
}

void read_control(const Node& node, Config& config, Diagnostics& diagnostics) {
    static constexpr std::array<std::string_view, 1> keys{"group"};
    const Mapping mapping{node, "'control'", keys, diagnostics};
    if (const auto value = mapping.find("group"))
        config.control_group = read_name(*value, "'group'", diagnostics);
}

// --- a file ---

/// What may be given in one file only: where it was.
struct Once {
    std::optional<Position> defaults;
    std::optional<Position> control;
};

bool only_once(const Node& value, std::string_view key, std::optional<Position>& where,
               Diagnostics& diagnostics) {
    if (where) {
        diagnostics.error(value.position(), fmt::format("'{}' is given in another file already, at {}", key,
                                                        where->to_string()));
        return false;
    }
    where = value.position();
    return true;
}

void read_document(const Node& node, Config& config, Once& once, Diagnostics& diagnostics) {
    static constexpr std::array<std::string_view, 5> keys{"version", "defaults", "control", "groups",
                                                          "devices"};
    const Mapping mapping{node, "the file", keys, diagnostics};
    if (const auto value = mapping.require("version"))
        read_number(*value, "'version'", version, version, diagnostics);
    if (const auto value = mapping.find("defaults");
        value && only_once(*value, "defaults", once.defaults, diagnostics))
        read_defaults(*value, config, diagnostics);
    if (const auto value = mapping.find("control");
        value && only_once(*value, "control", once.control, diagnostics))
        read_control(*value, config, diagnostics);
    if (const auto value = mapping.find("groups"))
        for (const auto& entry : read_list(*value, "'groups'", diagnostics))
            if (auto group = read_group(entry, diagnostics))
                config.groups.push_back(std::move(*group));
    if (const auto value = mapping.find("devices"))
        for (const auto& entry : read_list(*value, "'devices'", diagnostics))
            if (auto device = read_device(entry, diagnostics))
                config.devices.push_back(std::move(*device));
}

/// yaml-cpp has a message for it that nobody understands.
bool indented_by_tab(std::string_view text, int line) {
    for (; line > 0; --line)
        text.remove_prefix(std::min(text.find('\n'), text.size() - 1) + 1);
    const auto indent = text.substr(0, text.find_first_not_of(" \t"));
    return indent.contains('\t');
}

/// Takes a document for its place.
class Begin : public YAML::EventHandler {
public:
    void OnDocumentStart(const YAML::Mark& mark) override { mark_ = mark; }
    void OnDocumentEnd() override {}
    void OnNull(const YAML::Mark&, YAML::anchor_t) override {}
    void OnAlias(const YAML::Mark&, YAML::anchor_t) override {}
    void OnScalar(const YAML::Mark&, const std::string&, YAML::anchor_t, const std::string&) override {}
    void OnSequenceStart(const YAML::Mark&, const std::string&, YAML::anchor_t,
                         YAML::EmitterStyle::value) override {}
    void OnSequenceEnd() override {}
    void OnMapStart(const YAML::Mark&, const std::string&, YAML::anchor_t,
                    YAML::EmitterStyle::value) override {}
    void OnMapEnd() override {}

    [[nodiscard]] const YAML::Mark& mark() const { return mark_; }

private:
    YAML::Mark mark_;
};

/// Where a second document begins. Not by YAML::LoadAll(): in 0.7 it does not end on "a: b]", and eats all
/// memory.
std::optional<YAML::Mark> second_document(const std::string& text) {
    std::istringstream stream{text};
    YAML::Parser parser{stream};
    Begin first;
    Begin second;
    if (!parser.HandleNextDocument(first) || !parser.HandleNextDocument(second))
        return {};
    return second.mark();
}

void read_file(const File& file, Config& config, Once& once, Diagnostics& diagnostics) {
    try {
        const auto document = YAML::Load(file.text);
        if (document.IsNull()) {
            diagnostics.error({.file = file.name}, "says nothing: at least 'version: 1' must be there");
            return;
        }
        read_document(Node{file.name, document}, config, once, diagnostics);
        if (const auto mark = second_document(file.text))
            diagnostics.error(position_of(file.name, *mark), "a second document: only one is read of a file");
    } catch (const YAML::Exception& error) {
        diagnostics.error(position_of(file.name, error.mark),
                          fmt::format("not YAML: {}", indented_by_tab(file.text, error.mark.line)
                                                          ? "a tab where only spaces may be"
                                                          : error.msg));
    }
}

// --- all files together ---

template <class Named>
void check_names(const std::vector<Named>& list, std::string_view kind, Diagnostics& diagnostics) {
    for (auto one = list.begin(); one != list.end(); ++one) {
        const auto first = std::ranges::find(list.begin(), one, one->name, &Named::name);
        if (first != one)
            diagnostics.error(one->position, fmt::format("{} '{}' is declared twice, first at {}", kind,
                                                         one->name, first->position.to_string()));
    }
}

void check_matches(const std::vector<Device>& devices, Diagnostics& diagnostics) {
    for (auto one = devices.begin(); one != devices.end(); ++one) {
        const auto first = std::ranges::find(devices.begin(), one, one->match, &Device::match);
        if (first != one && first->name != one->name && one->match != Match{})
            diagnostics.error(one->position,
                              fmt::format("device '{}' is the one that is declared as '{}' at {}", one->name,
                                          first->name, first->position.to_string()));
    }
}

void check_groups(const Config& config, Diagnostics& diagnostics) {
    std::vector<std::string_view> names;
    names.reserve(config.devices.size());
    for (const auto& device : config.devices)
        names.emplace_back(device.name);
    for (const auto& group : config.groups)
        for (const auto& device : group.devices)
            if (std::ranges::find(names, device) == names.end())
                diagnostics.error(group.position,
                                  fmt::format("group '{}' names a device '{}' that is not declared{}",
                                              group.name, device, did_you_mean(device, names)));
}

} // namespace

Config read(std::span<const File> files, Diagnostics& diagnostics) {
    Config config;
    Once once;
    for (const auto& file : files)
        read_file(file, config, once, diagnostics);
    check_names(config.devices, "device", diagnostics);
    check_names(config.groups, "group", diagnostics);
    check_matches(config.devices, diagnostics);
    check_groups(config, diagnostics);
    return config;
}

} // namespace filterd::config
