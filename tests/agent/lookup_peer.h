// SPDX-License-Identifier: GPL-2.0-or-later
// A folder for sockets, and what connects to one there.
#pragma once

#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>

#include "cni/agent_message.h"
#include "rules/kernel/fd.h"

namespace sluice::agent {

class TemporaryFolder {
 public:
  TemporaryFolder() {
    std::string pattern = "/tmp/sluice-agent-XXXXXX";
    if (mkdtemp(pattern.data()) == nullptr) throw std::runtime_error("mkdtemp");
    path_ = pattern;
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder(TemporaryFolder&&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(TemporaryFolder&&) = delete;
  ~TemporaryFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }

  std::string operator/(const std::string& name) const { return path_ + "/" + name; }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

inline sockaddr_un socket_address(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) throw std::runtime_error("path too long");
  std::memcpy(&address.sun_path, path.c_str(), path.size() + 1);
  return address;
}

class Peer {
 public:
  // error() says whether it worked.
  explicit Peer(const std::string& path) : fd_(socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0)) {
    const sockaddr_un address = socket_address(path);
    if (connect(fd_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
      error_ = errno;
    }
    const int room = 8 * 1024 * 1024;
    if (setsockopt(fd_.get(), SOL_SOCKET, SO_SNDBUFFORCE, &room, sizeof room) != 0) {
      setsockopt(fd_.get(), SOL_SOCKET, SO_SNDBUF, &room, sizeof room);
    }
  }

  int error() const { return error_; }
  int fd() const { return fd_.get(); }

  bool say(std::string_view packet) const {
    return send(fd_.get(), packet.data(), packet.size(), MSG_NOSIGNAL) ==
           static_cast<ssize_t>(packet.size());
  }

  // The next packet; empty at the end of the connection. Nothing if neither comes in time.
  std::optional<std::string> hear(int milliseconds = 30'000) const {
    pollfd ready{.fd = fd_.get(), .events = POLLIN, .revents = 0};
    if (poll(&ready, 1, milliseconds) <= 0) return std::nullopt;
    const ssize_t size = recv(fd_.get(), nullptr, 0, MSG_PEEK | MSG_TRUNC);
    if (size <= 0) {
      char byte = 0;  // an empty packet is taken off
      recv(fd_.get(), &byte, 1, MSG_DONTWAIT);
      return "";
    }
    std::string packet(static_cast<std::size_t>(size), '\0');
    recv(fd_.get(), packet.data(), packet.size(), 0);
    return packet;
  }

  // The connection is closed by the other side, with nothing said before.
  bool is_dropped() const { return hear() == std::optional<std::string>(""); }

  // Throws where no answer comes.
  cni::LookupAnswer ask(const cni::LookupMessage& message) const {
    if (!say(cni::print_lookup(message))) throw std::runtime_error("the question was not sent");
    const std::optional<std::string> answer = hear();
    if (!answer || answer->empty()) throw std::runtime_error("no answer came");
    return cni::parse_lookup_answer(*answer);
  }

 private:
  kernel::Fd fd_;
  int error_ = 0;
};

inline cni::LookupMessage question(const std::string& name, const std::string& uid = "",
                                   bool annotations_known = false) {
  return {.sandbox = {.name_space = "demo",
                      .name = name,
                      .uid = uid,
                      .container_id = "c",
                      .netns = "/run/netns/" + name},
          .deadline_ms = 20'000,
          .annotations_known = annotations_known};
}

}  // namespace sluice::agent
