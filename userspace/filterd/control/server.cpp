// SPDX-License-Identifier: MIT
#include "control/server.hpp"

#include <array>
#include <cerrno>
#include <cstring>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <system_error>
#include <unistd.h>

namespace filterd::control {

namespace {

constexpr int backlog = 128;
constexpr std::size_t read_bytes = 16 << 10;

[[noreturn]] void fail(const char* what) {
    throw std::system_error{errno, std::generic_category(), what};
}

blkfilter::FileDescriptor listen_at(const std::filesystem::path& path) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    const auto name = path.string();
    if (name.size() >= sizeof(address.sun_path))
        throw std::system_error{ENAMETOOLONG, std::generic_category(), name};
    std::memcpy(address.sun_path, name.c_str(), name.size() + 1);
    blkfilter::FileDescriptor socket{::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)};
    if (socket.get() < 0)
        fail("socket");
    std::filesystem::create_directories(path.parent_path());
    std::filesystem::remove(path);
    if (bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0)
        fail(name.c_str());
    // Everybody may ask; who may change what is looked at for each request.
    if (chmod(name.c_str(), S_IRUSR | S_IWUSR | S_IRGRP | S_IWGRP | S_IROTH | S_IWOTH) != 0 ||
        ::listen(socket.get(), backlog) != 0)
        fail(name.c_str());
    return socket;
}

Peer peer_of(int socket) {
    ucred credentials{};
    socklen_t size = sizeof(credentials);
    if (getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &credentials, &size) != 0)
        return {.uid = static_cast<uid_t>(-1), .gid = static_cast<gid_t>(-1)};
    Peer peer{.uid = credentials.uid, .gid = credentials.gid, .pid = credentials.pid};
    constexpr std::size_t most_groups = 1024;
    peer.groups.resize(most_groups);
    size = static_cast<socklen_t>(peer.groups.size() * sizeof(gid_t));
    if (getsockopt(socket, SOL_SOCKET, SO_PEERGROUPS, peer.groups.data(), &size) != 0)
        size = 0;
    peer.groups.resize(size / sizeof(gid_t));
    return peer;
}

} // namespace

Server::Server(Loop& loop, std::filesystem::path path, std::string version, Handle handle)
    : loop_{loop}, path_{std::move(path)}, version_{std::move(version)}, handle_{std::move(handle)},
      socket_{listen_at(path_)} {
    source_ = loop_.watch(socket_.get(), EPOLLIN, [this](std::uint32_t) { accept(); });
}

Server::~Server() {
    std::error_code ignored;
    std::filesystem::remove(path_, ignored);
}

void Server::accept() {
    blkfilter::FileDescriptor socket{accept4(socket_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK)};
    if (socket.get() < 0)
        return; // it has gone again, or we have no descriptor left: it waits in the queue
    if (clients_.size() >= most_clients) {
        const auto line = error_line({}, {.code = EAGAIN, .message = "too many clients: try again later"});
        static_cast<void>(::send(socket.get(), line.data(), line.size(), MSG_NOSIGNAL));
        return;
    }
    add(std::move(socket));
}

void Server::add(blkfilter::FileDescriptor socket) {
    const auto id = ++last_;
    auto& client = clients_[id];
    const auto handle = [this, id](const Request& request) {
        if (const auto found = clients_.find(id); found != clients_.end())
            handle_(found->second.session, request);
    };
    client.session = std::make_shared<Session>(peer_of(socket.get()), handle,
                                               [this, id](const std::string& line) { send(id, line); });
    client.socket = std::move(socket);
    client.source =
        loop_.watch(client.socket.get(), EPOLLIN, [this, id](std::uint32_t events) { ready(id, events); });
    send(id, hello(version_));
}

/// Only adds: what becomes of the client is decided by ready(), which the loop calls.
void Server::send(std::uint64_t id, const std::string& line) {
    const auto found = clients_.find(id);
    if (found == clients_.end())
        return;
    auto& client = found->second;
    if (client.unsent.size() + line.size() > most_unsent_bytes) {
        client.ending = true; // it does not read
        client.unsent.clear();
    } else if (!client.ending) {
        client.unsent += line;
    }
    listen(client);
}

void Server::listen(const Client& client) {
    if (!client.source)
        return;
    const bool reads = !client.ending && !client.session->is_full();
    const bool writes = client.ending || !client.unsent.empty();
    client.source->listen((reads ? std::uint32_t{EPOLLIN} : 0U) | (writes ? std::uint32_t{EPOLLOUT} : 0U));
}

void Server::ready(std::uint64_t id, std::uint32_t events) {
    const auto found = clients_.find(id);
    if (found == clients_.end())
        return;
    auto& client = found->second;
    bool stays = (events & EPOLLERR) == 0U;
    if (stays && (events & (EPOLLIN | EPOLLHUP)) != 0U)
        stays = read(client);
    if (stays && !client.unsent.empty())
        stays = write(client);
    if (stays && client.ending && client.unsent.empty())
        stays = false;
    if (stays)
        listen(client);
    else
        loop_.post([this, id] { clients_.erase(id); }); // not while its own callback runs
}

bool Server::read(Client& client) {
    std::array<char, read_bytes> buffer{};
    const auto size = ::recv(client.socket.get(), buffer.data(), buffer.size(), 0);
    if (size < 0)
        return errno == EAGAIN || errno == EINTR;
    if (size == 0)
        return false;
    if (!client.ending && !client.session->receive({buffer.data(), static_cast<std::size_t>(size)}))
        client.ending = true;
    return true;
}

bool Server::write(Client& client) {
    const auto size = ::send(client.socket.get(), client.unsent.data(), client.unsent.size(), MSG_NOSIGNAL);
    if (size < 0)
        return errno == EAGAIN || errno == EINTR;
    client.unsent.erase(0, static_cast<std::size_t>(size));
    return true;
}

void Server::broadcast(const nlohmann::json& event) {
    for (const auto& [id, client] : clients_)
        if (client.session->is_watching())
            client.session->event(event);
}

} // namespace filterd::control
