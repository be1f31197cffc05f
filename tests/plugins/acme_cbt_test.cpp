// SPDX-License-Identifier: MIT
/// The example's plugin as filterd loads it, over a module made here.
#include "fake_host.hpp"

#include <cerrno>
#include <cstring>
#include <gtest/gtest.h>

namespace filterd {

namespace {

using test::FakeCall;

constexpr std::size_t id_bytes = 16;
constexpr std::uint64_t block_bytes = 64 << 10;

/// Command 0 of the module.
struct Module {
    std::string blocks;
    char point{1};
    int error{};

    int operator()(std::uint32_t number, void* buffer, std::size_t size, std::size_t* length) const {
        EXPECT_EQ(number, 0U);
        const auto bytes = (blocks.size() + 63) / 64 * 8;
        if (error)
            return -error;
        if (size < id_bytes + bytes)
            return -EINVAL;
        auto* answer = static_cast<char*>(buffer);
        std::memset(answer, 0, id_bytes + bytes);
        answer[0] = point;
        for (std::size_t i = 0; i < blocks.size(); ++i)
            if (blocks[i] == 'w')
                answer[id_bytes + i / 8] = static_cast<char>(answer[id_bytes + i / 8] | 1 << i % 8);
        *length = id_bytes + bytes;
        return 0;
    }
};

class AcmeCbt : public testing::Test {
protected:
    static void SetUpTestSuite() {
        static const auto host = test::fake_host();
        const auto* plugin = test::plugin_of(ACME_CBT);
        ASSERT_NE(plugin, nullptr);
        ASSERT_EQ(plugin->load(&host), 0);
        command = test::command_of(*plugin, "changed");
    }

    static FakeCall changed(const Module& module, std::map<std::string, std::string> arguments = {}) {
        FakeCall call{.arguments = std::move(arguments), .kernel = module};
        const int result = command->run(call.handle());
        EXPECT_EQ(result, call.failure.empty() ? 0 : -1);
        return call;
    }

    static inline const filterd_command* command;
};

void mark(std::string& blocks, const std::vector<nlohmann::json>& records) {
    for (const auto& record : records) {
        const std::uint64_t offset = record["offset"];
        const std::uint64_t length = record["length"];
        ASSERT_LE(offset + length, blocks.size() * block_bytes);
        for (auto block = offset / block_bytes; block < (offset + length) / block_bytes; ++block)
            blocks[block] = 'w';
    }
}

TEST_F(AcmeCbt, all_that_changed_is_shown_page_by_page) {
    std::string many;
    for (int i = 0; i < 500000; ++i)
        many += i % 3 ? "w" : "-";
    for (const auto& blocks :
         {std::string(64, '-'), std::string(64, 'w'), std::string{"-w--ww"} + std::string(58, '-'), many}) {
        const Module module{blocks};
        std::string seen(blocks.size(), '-');
        auto page = changed(module);
        mark(seen, page.records);
        while (page.cursor) {
            page = changed(module, {{"cursor", *page.cursor}});
            EXPECT_LT(page.answer_bytes, FILTERD_ANSWER_BYTES);
            mark(seen, page.records);
        }
        EXPECT_EQ(page.failure, "");
        EXPECT_EQ(seen, blocks);
    }
}

TEST_F(AcmeCbt, a_point_between_two_pages_fails_the_call) {
    std::string blocks;
    for (int i = 0; i < 20000; ++i)
        blocks += "w-";
    const auto first = changed({blocks});
    EXPECT_EQ(changed({.blocks = blocks, .point = 2}, {{"cursor", first.cursor.value()}}).code, EAGAIN);
    EXPECT_NE(changed({blocks}, {{"cursor", "x"}}).code, 0);
}

TEST_F(AcmeCbt, what_the_module_refuses_fails_the_call) {
    for (const int code : {ESTALE, ENODEV, EINVAL, EAGAIN})
        EXPECT_EQ(changed({.blocks = {}, .error = code}).code, code);
}

} // namespace

} // namespace filterd
