// SPDX-License-Identifier: MIT
/// @file
/// filterd's plugin for acme-cbt. docs/writing-a-filter.md goes through it step by step.
#include <filterd/plugin.hpp>

#include <cerrno>
#include <string>
#include <vector>

namespace {

/// What command 0 of the module answers: the id of the last point, then a bit for each block of 64 KiB.
class Interval {
public:
    static constexpr std::uint64_t block_bytes = 64 << 10;

    explicit Interval(filterd::Call& call) {
        bytes_.resize(least_room);
        while (!ask(call))
            bytes_.resize(2 * bytes_.size());
    }

    [[nodiscard]] std::string id() const {
        std::string text;
        for (std::size_t i = 0; i < id_bytes; ++i)
            text += std::to_string(std::to_integer<unsigned>(bytes_[i])) + ".";
        return text;
    }

    [[nodiscard]] std::uint64_t blocks() const { return (bytes_.size() - id_bytes) * 8; }

    [[nodiscard]] bool changed(std::uint64_t block) const {
        return (std::to_integer<unsigned>(bytes_[id_bytes + block / 8]) >> block % 8 & 1) != 0;
    }

    /// The end of the run of blocks that are like this one.
    [[nodiscard]] std::uint64_t end_of_run(std::uint64_t block) const {
        const bool kind = changed(block);
        while (block < blocks() && changed(block) == kind)
            ++block;
        return block;
    }

private:
    static constexpr std::size_t id_bytes = 16;
    static constexpr std::size_t least_room = 64 << 10;
    static constexpr std::size_t most_room = 16 << 20;

    /// False: again, with more room. How large the map is only the module knows (EINVAL); and a point may
    /// come while it is copied (EAGAIN).
    bool ask(filterd::Call& call) {
        try {
            bytes_.resize(call.control(0, bytes_));
            return true;
        } catch (const filterd::Failure& failure) {
            if (failure.code() == ESTALE)
                throw filterd::Failure{ESTALE,
                                       "no interval was seen as a whole: everything may have changed"};
            const bool again = failure.code() == EINVAL || failure.code() == EAGAIN;
            if (!again || bytes_.size() >= most_room)
                throw;
            return false;
        }
    }

    std::vector<std::byte> bytes_;
};

class AcmeCbt final : public filterd::Plugin {
public:
    /// What the module remembers is lost when it is detached.
    static constexpr std::uint32_t flags = FILTERD_KEEPS_HISTORY;

    /// The module takes none.
    std::string options(const filterd::Config&) override { return {}; }

    void changed(filterd::Call& call) {
        constexpr int records_a_page = 8192;
        const Interval interval{call};
        int records = 0;
        for (auto block = first_block(call, interval); block < interval.blocks();) {
            const auto end = interval.end_of_run(block);
            if (interval.changed(block)) {
                if (records++ == records_a_page)
                    return call.more(interval.id() + " " + std::to_string(block));
                call.answer(filterd::Record{}
                                .add("offset", block * Interval::block_bytes)
                                .add("length", (end - block) * Interval::block_bytes));
            }
            block = end;
        }
    }

    static constexpr filterd::Command<AcmeCbt> commands[] = {
        {.name = "changed",
         .description = "Show what was written between the last two consistency points, in bytes",
         .flags = FILTERD_DEVICE,
         .run = &AcmeCbt::changed}};

private:
    /// Where the page begins: at the start, or where the cursor of the one before says.
    static std::uint64_t first_block(const filterd::Call& call, const Interval& interval) {
        const auto cursor = call.cursor();
        if (!cursor)
            return 0;
        const auto id = interval.id() + " ";
        if (!cursor->starts_with(id))
            throw filterd::Failure{EAGAIN, "another point was taken meanwhile: ask anew"};
        return std::stoull(cursor->substr(id.size()));
    }
};

} // namespace

FILTERD_PLUGIN(AcmeCbt, "acme-cbt", "1.0", "A third party's changed-block tracking", "acme-cbt", "acme-cbt")
