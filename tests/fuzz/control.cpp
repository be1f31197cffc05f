// SPDX-License-Identifier: MIT
/// @file
/// libFuzzer on the control socket's protocol: whatever a client writes, in whatever pieces, each line that
/// it gets is JSON, and each request is answered once.
#include "control/session.hpp"

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <map>
#include <string_view>
#include <vector>

using namespace filterd::control;

namespace {

/// Answers now or later, as the method says.
class Client {
public:
    Client()
        : session_{{.uid = 0},
                   [this](const Request& request) { handle(request); },
                   [this](const std::string& line) { sent(line); }} {}

    bool receive(std::string_view bytes) { return session_.receive(bytes); }

    void answer_later_ones() {
        while (!later_.empty()) {
            const auto id = later_.back();
            later_.pop_back();
            session_.reply(id, {{"later", true}});
            session_.reply(id, {{"twice", true}}); // must not be sent
        }
        session_.event({{"type", "test"}});
        if (asked_ != answered_)
            std::abort();
    }

private:
    void handle(const Request& request) {
        if (++asked_[request.id] > answered_[request.id] + 1)
            std::abort(); // two with one id at a time
        session_.progress(request.id, {{"text", request.method}});
        if (request.method.starts_with('l')) {
            later_.push_back(request.id);
        } else if (request.method.starts_with('w')) {
            ++answered_[request.id];
            session_.watch(request.id);
        } else if (request.method.starts_with('e')) {
            session_.refuse(request.id, {.code = 5, .message = request.method}, request.params);
        } else {
            session_.reply(request.id, request.params);
        }
    }

    void sent(const std::string& line) {
        if (line.empty() || line.back() != '\n' || line.find('\n') != line.size() - 1)
            std::abort();
        const auto value = nlohmann::json::parse(line);
        if (value.at("id").is_number() && (value.contains("result") || value.contains("error")) &&
            asked_.contains(value.at("id")) && answered_[value.at("id")] < asked_[value.at("id")])
            ++answered_[value.at("id")];
    }

    std::map<std::uint64_t, int> asked_;
    std::map<std::uint64_t, int> answered_;
    std::vector<std::uint64_t> later_;
    Session session_;
};

} // namespace

/// The first byte is the size of the pieces.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size == 0)
        return 0;
    const std::size_t piece = data[0] + 1U;
    std::string_view rest{reinterpret_cast<const char*>(data) + 1, size - 1};
    Client client;
    while (!rest.empty()) {
        if (!client.receive(rest.substr(0, piece)))
            break;
        rest.remove_prefix(std::min(piece, rest.size()));
    }
    client.answer_later_ones();
    return 0;
}
