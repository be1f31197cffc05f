// SPDX-License-Identifier: MIT
/// @file
/// Values of a YAML file that know where they stand, and what reads them. Whatever is wrong becomes a
/// diagnostic, and reading goes on, so that all errors are found at once. Plugins read their part by the same
/// functions.
#pragma once

#include "config/diagnostics.hpp"

#include <blkfilter/altitude.hpp>

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>
#include <yaml-cpp/yaml.h>

namespace filterd::config {

/// A value in a file.
class Node {
public:
    Node(std::string file, const YAML::Node& node) : file_{std::move(file)}, node_{node} {}

    [[nodiscard]] Position position() const;

    /// "a mapping", "a list", "nothing", or the text in quotes.
    [[nodiscard]] std::string description() const;

    [[nodiscard]] const YAML::Node& yaml() const { return node_; }

    /// Another value of the same file.
    [[nodiscard]] Node sibling(const YAML::Node& node) const { return {file_, node}; }

private:
    std::string file_;
    YAML::Node node_;
};

/// The keys of a mapping, each at most once.
class Mapping {
public:
    /// Whether keys that are not known are errors, or somebody else's.
    enum class Others { refused, kept };

    /// @p what names the mapping in messages, as in "a device".
    Mapping(const Node& node, std::string what, std::span<const std::string_view> known,
            Diagnostics& diagnostics, Others others = Others::refused);

    /// The value of a key; nothing when it is not there.
    [[nodiscard]] std::optional<Node> find(std::string_view key) const;

    /// The same; that it is not there is an error.
    [[nodiscard]] std::optional<Node> require(std::string_view key) const;

    /// Keys and values that are not known, in the order of the file.
    [[nodiscard]] const std::vector<std::pair<Node, Node>>& others() const { return others_; }

    [[nodiscard]] const Position& position() const { return position_; }

private:
    void add(const Node& key, const Node& value, std::span<const std::string_view> known, Others others);

    std::string what_;
    Position position_;
    Diagnostics* diagnostics_;
    std::vector<std::pair<std::string, std::pair<Node, Node>>> entries_;
    std::vector<std::pair<Node, Node>> others_;
};

/// The values of a list; an error and none when it is not one, or empty.
std::vector<Node> read_list(const Node& node, std::string_view what, Diagnostics& diagnostics);

/// Any text that is not empty.
std::optional<std::string> read_text(const Node& node, std::string_view what, Diagnostics& diagnostics);

/// What people call a thing of theirs: letters, digits, '.', '_' and '-', at most 63, a letter or digit
/// first.
std::optional<std::string> read_name(const Node& node, std::string_view what, Diagnostics& diagnostics);

/// true or false, and no other word for it.
std::optional<bool> read_boolean(const Node& node, std::string_view what, Diagnostics& diagnostics);

/// A decimal number from @p least to @p most.
std::optional<std::uint64_t> read_number(const Node& node, std::string_view what, std::uint64_t least,
                                         std::uint64_t most, Diagnostics& diagnostics);

/// A number of bytes: "65536", or with a unit, "64KiB".
std::optional<std::uint64_t> read_bytes(const Node& node, std::string_view what, Diagnostics& diagnostics);

std::optional<blkfilter::Altitude> read_altitude(const Node& node, std::string_view what,
                                                 Diagnostics& diagnostics);

/// "; did you mean 'WORD'?" with the nearest of @p known, or nothing when none is near to @p word.
std::string did_you_mean(std::string_view word, std::span<const std::string_view> known);

/// All of @p text as a decimal number, as people write it: no zero in front.
std::optional<std::uint64_t> decimal(std::string_view text);

/// All of @p text as a number of bytes: "65536", or with a unit, "64KiB".
std::optional<std::uint64_t> parse_bytes(std::string_view text);

/// Where a mark of yaml-cpp is.
Position position_of(const std::string& file, const YAML::Mark& mark);

} // namespace filterd::config
