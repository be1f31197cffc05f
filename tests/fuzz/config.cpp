// SPDX-License-Identifier: MIT
/// @file
/// libFuzzer on the reader of configuration files: whatever the text, it ends, and what it says has a place
/// in the file.
#include "config/read.hpp"

#include <cstddef>
#include <cstdint>
#include <cstdlib>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const filterd::config::File file{"fuzz", {reinterpret_cast<const char*>(data), size}};
    filterd::config::Diagnostics diagnostics;
    const auto config = filterd::config::read({&file, 1}, diagnostics);
    for (const auto& diagnostic : diagnostics.sorted())
        if (diagnostic.position.file != "fuzz" || diagnostic.message.empty() || diagnostic.position.line < 0)
            std::abort();
    // What is good is named, and has something to be recognised by.
    if (!diagnostics.has_errors())
        for (const auto& device : config.devices)
            if (device.name.empty() || device.stack.empty() || device.match == filterd::config::Match{})
                std::abort();
    return 0;
}
