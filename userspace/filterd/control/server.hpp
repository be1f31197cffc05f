// SPDX-License-Identifier: MIT
/// @file
/// The control socket.
#pragma once

#include "control/loop.hpp"
#include "control/session.hpp"

#include <blkfilter/file_descriptor.hpp>

#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <string>

namespace filterd::control {

/// For the loop's thread. Nobody who does not read, reads slowly or writes garbage can make it wait, or take
/// more memory than a client may.
class Server {
public:
    static constexpr std::size_t most_clients = 1500;
    static constexpr std::size_t most_unsent_bytes = 4 << 20; ///< of a client

    using Handle = std::function<void(const std::shared_ptr<Session>&, const Request&)>;

    /// @p path is replaced when it is there. Errors: std::system_error.
    Server(Loop& loop, std::filesystem::path path, std::string version, Handle handle);
    Server(const Server&) = delete;
    Server& operator=(const Server&) = delete;
    ~Server();

    /// To all who watch.
    void broadcast(const nlohmann::json& event);

private:
    struct Client {
        blkfilter::FileDescriptor socket;
        std::shared_ptr<Session> session;
        std::unique_ptr<Source> source;
        std::string unsent;
        bool ending{}; ///< nothing is read any more; it goes when all is sent
    };

    void accept();
    void add(blkfilter::FileDescriptor socket);
    void send(std::uint64_t id, const std::string& line);
    void ready(std::uint64_t id, std::uint32_t events);
    bool read(Client& client);
    bool write(Client& client);
    void listen(const Client& client);

    Loop& loop_;
    std::filesystem::path path_;
    std::string version_;
    Handle handle_;
    blkfilter::FileDescriptor socket_;
    std::unique_ptr<Source> source_;
    std::map<std::uint64_t, Client> clients_; ///< by numbers that never come again, as those of files do
    std::uint64_t last_{};
};

} // namespace filterd::control
