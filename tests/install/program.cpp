// SPDX-License-Identifier: MIT
/// @file
/// A program of somebody who has only what is installed: says which interface the core has.

#include <blkfilter/control.hpp>
#include <iostream>

int main() {
    const auto control = blkfilter::Control::open();
    if (!control) {
        std::cout << "no core: " << control.error().message << '\n';
        return 4;
    }
    const auto version = control->version();
    if (!version) {
        std::cout << "no core: " << version.error().message << '\n';
        return 4;
    }
    std::cout << "interface " << version->interface << '\n';
}
