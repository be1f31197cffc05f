// SPDX-License-Identifier: MIT
#include "growth.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

namespace filterd::snapshots {

namespace {

using Seconds = std::chrono::duration<double>;

/// The rate is that of about so long.
constexpr Seconds memory{20};
/// Room for so long is kept, however fast it fills: making a file takes a while.
constexpr Seconds ahead{10};
constexpr std::chrono::seconds pause_after_failure{5};
/// Less is not worth a file.
constexpr std::uint64_t least_bytes = mebibyte;

} // namespace

void Meter::measure(Clock::time_point now, std::uint64_t used_bytes) {
    const auto past = last_ ? Seconds{now - *last_} : Seconds{};
    if (last_ && past <= Seconds::zero())
        return;
    if (last_) {
        const auto grown = used_bytes > last_used_ ? static_cast<double>(used_bytes - last_used_) : 0;
        rate_ += (grown / past.count() - rate_) * (1 - std::exp(-past / memory));
    }
    last_ = now;
    last_used_ = used_bytes;
}

/// So large its storage may become: what is left of the limit; a device is what it is.
std::uint64_t Meter::allowed(const Usage& usage, std::uint64_t others_bytes) const {
    if (policy_.is_device)
        return usage.storage_bytes;
    return policy_.limit_bytes - std::min(policy_.limit_bytes, others_bytes);
}

Growth Meter::look(Clock::time_point now, const Usage& usage, std::uint64_t others_bytes,
                   std::uint64_t asked_bytes) {
    measure(now, usage.used_bytes);
    Growth growth;
    const auto limit = allowed(usage, others_bytes);
    const auto warning = static_cast<double>(limit) * policy_.warn_thousandths / 1000;
    if (static_cast<double>(usage.used_bytes) >= warning && warning > 0)
        growth.warns = !std::exchange(has_warned_, true);
    const auto soon = static_cast<std::uint64_t>(rate_ * ahead.count());
    const auto free = usage.storage_bytes - std::min(usage.storage_bytes, usage.used_bytes);
    // The kernel asks when half of what it wants is left, and not again before it has got all of it, whatever
    // was appended meanwhile: so that is the least of all that is appended.
    asked_bytes_ = std::max(asked_bytes_, (asked_bytes + mebibyte - 1) / mebibyte * mebibyte);
    const auto least = std::max({policy_.step_bytes / 2, soon, asked_bytes_ / 2});
    if (policy_.is_device || free > least || now < next_try_)
        return growth;
    const auto wanted = std::max({policy_.step_bytes, soon / mebibyte * mebibyte, asked_bytes_});
    const auto left = limit - std::min(limit, usage.storage_bytes);
    growth.append_bytes = std::min(wanted, left / mebibyte * mebibyte);
    if (growth.append_bytes < least_bytes) {
        growth.append_bytes = 0;
        growth.at_limit = !std::exchange(was_at_limit_, true);
    }
    return growth;
}

void Meter::failed(Clock::time_point now) {
    next_try_ = now + pause_after_failure;
}

std::optional<std::chrono::seconds> Meter::until_full(const Usage& usage, std::uint64_t others_bytes) const {
    constexpr double still = 1;
    if (rate_ < still)
        return {};
    const auto most = std::max(usage.storage_bytes, allowed(usage, others_bytes));
    const auto left = static_cast<double>(most - std::min(most, usage.used_bytes));
    return std::chrono::seconds{static_cast<std::int64_t>(left / rate_)};
}

} // namespace filterd::snapshots
