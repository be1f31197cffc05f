// SPDX-License-Identifier: MIT
/// @file
/// A daemon that is made of a function, and filterctl's commands run against it.
#pragma once

#include "../../folder.hpp"
#include "commands/command_line.hpp"

#include <array>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <functional>
#include <gtest/gtest.h>
#include <map>
#include <poll.h>
#include <sstream>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <thread>
#include <unistd.h>

namespace filterctl::test {

inline constexpr std::string_view hello = R"({"filterd":"0.1.0","protocol":1})";

/// The daemon's end of a connection.
class Peer {
public:
    explicit Peer(int socket) : socket_{socket} {}
    Peer(const Peer&) = delete;
    Peer& operator=(const Peer&) = delete;
    ~Peer() { ::close(socket_); }

    void send_bytes(std::string_view bytes) const {
        // The client may be gone already.
        static_cast<void>(::send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL));
    }
    void send(std::string_view line) const { send_bytes(std::string{line} + '\n'); }
    void send_json(const Json& message) const { send(message.dump()); }

    /// The next line as JSON; null when the client has gone.
    Json receive() {
        for (;;) {
            if (const auto end = received_.find('\n'); end != std::string::npos) {
                auto request = Json::parse(received_.substr(0, end));
                received_.erase(0, end + 1);
                return request;
            }
            std::array<char, 4096> part;
            const auto size = ::read(socket_, part.data(), part.size());
            if (size <= 0)
                return nullptr;
            received_.append(part.data(), static_cast<std::size_t>(size));
        }
    }

    /// Until the client closes, whatever it sends.
    void wait_for_end() {
        while (!receive().is_null())
            ;
    }

private:
    int socket_;
    std::string received_;
};

/// Listens; @p script talks with each client that comes, one after the other.
class FakeDaemon {
public:
    using Script = std::function<void(Peer&)>;

    explicit FakeDaemon(Script script) : script_{std::move(script)} {
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        std::strcpy(address.sun_path, path().c_str());
        listener_ = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        EXPECT_EQ(::bind(listener_, reinterpret_cast<const sockaddr*>(&address), sizeof(address)), 0);
        EXPECT_EQ(::listen(listener_, 16), 0);
        thread_ = std::jthread{[this](const std::stop_token& stop) { serve(stop); }};
    }
    FakeDaemon(const FakeDaemon&) = delete;
    FakeDaemon& operator=(const FakeDaemon&) = delete;
    ~FakeDaemon() {
        thread_.request_stop();
        // Wakes accept().
        ::shutdown(listener_, SHUT_RDWR);
        thread_.join();
        ::close(listener_);
    }

    [[nodiscard]] std::string path() const { return folder_ / "sock"; }

private:
    void serve(const std::stop_token& stop) {
        while (!stop.stop_requested()) {
            const int client = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
            if (client < 0)
                return;
            Peer peer{client};
            script_(peer);
        }
    }

    Script script_;
    blkfilter::test::Folder folder_;
    int listener_{-1};
    std::jthread thread_;
};

/// What a method answers: the members of a message beside its id.
using Answer = std::function<Json(const Json& params)>;

inline Answer result(const Json& value) {
    return [=](const Json&) { return Json{{"result", value}}; };
}

inline Answer error(const std::string& code, const std::string& message, const Json& details = nullptr) {
    return [=](const Json&) {
        Json json{{"code", code}, {"message", message}};
        if (!details.is_null())
            json["details"] = details;
        return Json{{"error", json}};
    };
}

/// Answers each method in its way; others are an error.
inline FakeDaemon::Script methods(std::map<std::string, Answer> answers) {
    return [answers = std::move(answers)](Peer& peer) {
        peer.send(hello);
        for (auto request = peer.receive(); !request.is_null(); request = peer.receive()) {
            const auto answer = answers.find(text_of(request, "method"));
            auto message = answer == answers.end() ? error("invalid", "there is no such method")(nullptr)
                                                   : answer->second(member(request, "params"));
            message["id"] = request["id"];
            peer.send_json(message);
        }
    };
}

/// What a run of filterctl has left.
struct Ran {
    ExitCode code;
    std::string output;
    std::string talk;
};

/// Runs filterctl with these words.
inline Ran run_words(const std::vector<std::string>& words) {
    const int file = ::memfd_create("output", MFD_CLOEXEC);
    Output output{file};
    std::ostringstream talk;
    const auto code = run(words, output, talk, false);
    std::string text(static_cast<std::size_t>(::lseek(file, 0, SEEK_END)), '\0');
    EXPECT_EQ(::pread(file, text.data(), text.size(), 0), static_cast<ssize_t>(text.size()));
    ::close(file);
    return {code, text, talk.str()};
}

inline Ran run_on(const FakeDaemon& daemon, std::vector<std::string> words) {
    words.insert(words.begin(), {"--socket", daemon.path()});
    return run_words(words);
}

} // namespace filterctl::test
