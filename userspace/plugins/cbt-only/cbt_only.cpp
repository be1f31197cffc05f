// SPDX-License-Identifier: MIT
/// @file
/// filterd's plugin for the filter cbt-only.
#include <filterd/plugin.hpp>

#include <bit>

namespace {

class CbtOnly final : public filterd::Plugin {
public:
    static constexpr const char* noun = "cbt";
    static constexpr const char* config_schema = R"({
        "type": "object",
        "properties": {
            "block_size": {"description": "A power of two from 4KiB to 64MiB; 64KiB without it.", "type": ["integer", "string"]}
        }
    })";

    std::string options(const filterd::Config& config) override {
        constexpr std::uint64_t least = 4 << 10;
        constexpr std::uint64_t most = 64 << 20;
        constexpr std::uint64_t usual = 64 << 10;
        const auto block_size = config.bytes("block_size").value_or(usual);
        if (!std::has_single_bit(block_size) || block_size < least || block_size > most)
            config.error("block_size", "'block_size' must be a power of two from 4KiB to 64MiB");
        return "block_size=" + std::to_string(block_size);
    }
};

} // namespace

FILTERD_PLUGIN(CbtOnly, "cbt-only", "0.1.0", "Changed-block tracking for any number of consumers", "cbt-only",
               "blkfilter-cbt")
