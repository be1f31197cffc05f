// SPDX-License-Identifier: MIT
/// A plugin in C++ that throws.
#include <filterd/plugin.hpp>

#include <stdexcept>

namespace {

class Throws final : public filterd::Plugin {
public:
    std::string options(const filterd::Config& config) override {
        if (config["something"].boolean().value_or(false))
            throw 7;
        throw std::runtime_error{"no idea"};
    }
};

} // namespace

FILTERD_PLUGIN(Throws, "throws", "1.0", "Throws", "throws", "throws")
