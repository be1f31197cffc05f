// SPDX-License-Identifier: MIT
/// @file
/// A kernel made of functions.
#pragma once

#include <blkfilter/control.hpp>
#include <blkfilter/transport.hpp>
#include <linux/blkfilter-control.h>

#include <cstring>
#include <functional>
#include <memory>
#include <string_view>
#include <utility>

namespace blkfilter::test {

/// A device that no machine has, so that messages show its number.
inline constexpr DeviceId device{4095, 7, 99};

/// Answers ioctls with a function: a result, or a negative errno.
class FakeTransport final : public Transport {
public:
    using Kernel = std::function<int(unsigned long request, void* argument)>;

    explicit FakeTransport(Kernel kernel) : kernel_{std::move(kernel)} {}
    int ioctl(unsigned long request, void* argument) override { return kernel_(request, argument); }

private:
    Kernel kernel_;
};

inline Control control_of(FakeTransport::Kernel kernel) {
    return Control{std::make_unique<FakeTransport>(std::move(kernel))};
}

/// A control device that answers everything with one errno.
inline Control refusing_control(int code) {
    return control_of([=](unsigned long, void*) { return -code; });
}

/// What an address in an argument points to.
template <class T>
T* at(std::uint64_t address) {
    return reinterpret_cast<T*>(address);
}

template <std::size_t size>
void put(std::uint8_t (&field)[size], std::string_view text) {
    std::memcpy(field, text.data(), text.size());
}

template <std::size_t size>
std::string_view text(const std::uint8_t (&field)[size]) {
    return reinterpret_cast<const char*>(field);
}

} // namespace blkfilter::test
