// SPDX-License-Identifier: MIT
#include "config/node.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <fmt/format.h>
#include <limits>
#include <memory>

namespace filterd::config {

Position position_of(const std::string& file, const YAML::Mark& mark) {
    return mark.is_null() ? Position{.file = file}
                          : Position{.file = file, .line = mark.line + 1, .column = mark.column + 1};
}

Position Node::position() const {
    return position_of(file_, node_.Mark());
}

std::string Node::description() const {
    if (node_.IsMap())
        return "a mapping";
    if (node_.IsSequence())
        return "a list";
    if (!node_.IsScalar() || node_.Scalar().empty())
        return "nothing";
    return fmt::format("'{}'", node_.Scalar());
}

namespace {

/// The text of a scalar, or an error that says what is wanted.
std::optional<std::string> scalar(const Node& node, std::string_view what, std::string_view wanted,
                                  Diagnostics& diagnostics) {
    if (node.yaml().IsScalar() && !node.yaml().Scalar().empty())
        return node.yaml().Scalar();
    diagnostics.error(node.position(),
                      fmt::format("{} must be {}, not {}", what, wanted, node.description()));
    return {};
}

/// A number or a truth in quotes is a text.
bool is_quoted(const Node& node) {
    return node.yaml().Tag() == "!";
}

template <class Value>
std::optional<Value> refuse(const Node& node, std::string_view what, std::string_view wanted,
                            Diagnostics& diagnostics, std::string_view how = "") {
    diagnostics.error(node.position(),
                      fmt::format("{} must be {}, not {}{}", what, wanted, node.description(), how));
    return {};
}

/// The same for what is not a text, where quotes are an error of their own.
template <class Value>
std::optional<Value> refuse_plain(const Node& node, std::string_view what, std::string_view wanted,
                                  Diagnostics& diagnostics) {
    return refuse<Value>(node, what, wanted, diagnostics, is_quoted(node) ? " in quotes" : "");
}

std::optional<unsigned> shift_of_unit(std::string_view unit) {
    constexpr std::array<std::string_view, 5> units{"B", "KiB", "MiB", "GiB", "TiB"};
    constexpr unsigned bits_a_unit = 10;
    if (unit.empty())
        return 0;
    const auto found = std::ranges::find(units, unit);
    if (found == units.end())
        return {};
    return static_cast<unsigned>(found - units.begin()) * bits_a_unit;
}

/// How many letters must be added, left out, exchanged or swapped with their neighbour.
std::size_t distance(std::string_view left, std::string_view right) {
    std::vector<std::size_t> before(right.size() + 1);
    std::vector<std::size_t> row(right.size() + 1);
    std::vector<std::size_t> earlier;
    for (std::size_t k = 0; k < row.size(); ++k)
        row[k] = k;
    for (std::size_t i = 0; i < left.size(); ++i) {
        earlier = std::exchange(before, row);
        row[0] = i + 1;
        for (std::size_t k = 0; k < right.size(); ++k) {
            row[k + 1] = std::min({before[k + 1] + 1, row[k] + 1, before[k] + (left[i] == right[k] ? 0 : 1)});
            if (i > 0 && k > 0 && left[i] == right[k - 1] && left[i - 1] == right[k])
                row[k + 1] = std::min(row[k + 1], earlier[k - 1] + 1);
        }
    }
    return row.back();
}

} // namespace

std::optional<std::uint64_t> decimal(std::string_view text) {
    std::uint64_t value{};
    const auto* end = std::to_address(text.end());
    const auto result = std::from_chars(std::to_address(text.begin()), end, value);
    const bool octal = text.size() > 1 && text.front() == '0';
    return result.ec == std::errc{} && result.ptr == end && !octal ? std::optional{value} : std::nullopt;
}

std::string did_you_mean(std::string_view word, std::span<const std::string_view> known) {
    std::optional<std::string_view> best;
    // A third of it may be wrong.
    auto least = std::max<std::size_t>(1, word.size() / 3) + 1;
    for (const auto candidate : known)
        if (const auto far = distance(word, candidate); far < least) {
            least = far;
            best = candidate;
        }
    return best ? fmt::format("; did you mean '{}'?", *best) : "";
}

Mapping::Mapping(const Node& node, std::string what, std::span<const std::string_view> known,
                 Diagnostics& diagnostics, Others others)
    : what_{std::move(what)}, position_{node.position()}, diagnostics_{&diagnostics} {
    if (!node.yaml().IsMap()) {
        diagnostics.error(position_, fmt::format("{} must be a mapping, not {}", what_, node.description()));
        // Not told again what it lacks.
        diagnostics_ = nullptr;
        return;
    }
    for (const auto& pair : node.yaml())
        add(node.sibling(pair.first), node.sibling(pair.second), known, others);
}

void Mapping::add(const Node& key, const Node& value, std::span<const std::string_view> known,
                  Others others) {
    if (!key.yaml().IsScalar()) {
        diagnostics_->error(key.position(),
                            fmt::format("a key of {} must be a word, not {}", what_, key.description()));
        return;
    }
    const auto& name = key.yaml().Scalar();
    const auto first = std::ranges::find(entries_, name, &decltype(entries_)::value_type::first);
    if (first != entries_.end()) {
        diagnostics_->error(key.position(), fmt::format("'{}' is given twice, first at {}", name,
                                                        first->second.first.position().to_string()));
        return;
    }
    entries_.emplace_back(name, std::pair{key, value});
    if (std::ranges::find(known, name) != known.end())
        return;
    if (others == Others::kept) {
        others_.emplace_back(key, value);
        return;
    }
    diagnostics_->error(key.position(),
                        fmt::format("{} has no key '{}'{}", what_, name, did_you_mean(name, known)));
}

std::optional<Node> Mapping::find(std::string_view key) const {
    const auto found = std::ranges::find(entries_, key, &decltype(entries_)::value_type::first);
    return found == entries_.end() ? std::nullopt : std::optional{found->second.second};
}

std::optional<Node> Mapping::require(std::string_view key) const {
    auto found = find(key);
    if (!found && diagnostics_)
        diagnostics_->error(position_, fmt::format("{} needs the key '{}'", what_, key));
    return found;
}

std::vector<Node> read_list(const Node& node, std::string_view what, Diagnostics& diagnostics) {
    std::vector<Node> list;
    if (!node.yaml().IsSequence() || node.yaml().size() == 0) {
        diagnostics.error(
            node.position(),
            fmt::format("{} must be a list{}", what,
                        node.yaml().IsSequence() ? " with something in it" : ", not " + node.description()));
        return list;
    }
    for (const auto& entry : node.yaml())
        list.push_back(node.sibling(entry));
    return list;
}

std::optional<std::string> read_text(const Node& node, std::string_view what, Diagnostics& diagnostics) {
    return scalar(node, what, "a text", diagnostics);
}

std::optional<std::string> read_name(const Node& node, std::string_view what, Diagnostics& diagnostics) {
    constexpr std::size_t longest = 63;
    constexpr std::string_view letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    auto text = scalar(node, what, "a name", diagnostics);
    if (!text)
        return {};
    const bool good =
        text->size() <= longest && letters.contains(text->front()) && std::ranges::all_of(*text, [&](char c) {
            return letters.contains(c) || c == '.' || c == '_' || c == '-';
        });
    if (!good)
        return refuse<std::string>(node, what, "a name of at most 63 letters, digits, '.', '_' and '-'",
                                   diagnostics);
    return text;
}

std::optional<bool> read_boolean(const Node& node, std::string_view what, Diagnostics& diagnostics) {
    constexpr std::string_view wanted = "true or false";
    const auto text = scalar(node, what, wanted, diagnostics);
    if (!text)
        return {};
    if (!is_quoted(node) && (*text == "true" || *text == "false"))
        return *text == "true";
    return refuse_plain<bool>(node, what, wanted, diagnostics);
}

std::optional<std::uint64_t> read_number(const Node& node, std::string_view what, std::uint64_t least,
                                         std::uint64_t most, Diagnostics& diagnostics) {
    const auto wanted =
        least == most ? fmt::format("{}", least) : fmt::format("a number from {} to {}", least, most);
    const auto text = scalar(node, what, wanted, diagnostics);
    if (!text)
        return {};
    const auto value = is_quoted(node) ? std::nullopt : decimal(*text);
    if (!value || *value < least || *value > most)
        return refuse_plain<std::uint64_t>(node, what, wanted, diagnostics);
    return value;
}

std::optional<std::uint64_t> read_bytes(const Node& node, std::string_view what, Diagnostics& diagnostics) {
    constexpr std::string_view wanted =
        "a number of bytes, with B, KiB, MiB, GiB or TiB behind it or nothing";
    const auto text = scalar(node, what, wanted, diagnostics);
    if (!text)
        return {};
    const auto bytes = parse_bytes(*text);
    return bytes ? bytes : refuse<std::uint64_t>(node, what, wanted, diagnostics);
}

std::optional<std::uint64_t> parse_bytes(std::string_view text) {
    const auto digits = std::min(text.find_first_not_of("0123456789"), text.size());
    const auto number = decimal(text.substr(0, digits));
    const auto shift = shift_of_unit(text.substr(digits));
    if (!number || !shift || *number > std::numeric_limits<std::uint64_t>::max() >> *shift)
        return {};
    return *number << *shift;
}

std::optional<blkfilter::Altitude> read_altitude(const Node& node, std::string_view what,
                                                 Diagnostics& diagnostics) {
    constexpr std::string_view wanted = "a number from 0.000001 to 999999.999999";
    const auto text = scalar(node, what, wanted, diagnostics);
    if (!text)
        return {};
    const auto altitude = blkfilter::Altitude::parse(*text);
    if (!altitude || is_quoted(node))
        return refuse_plain<blkfilter::Altitude>(node, what, wanted, diagnostics);
    return *altitude;
}

} // namespace filterd::config
