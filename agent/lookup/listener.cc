// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/lookup/listener.h"

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>

#include "rules/error.h"

namespace sluice::agent {
namespace {

constexpr const char* temporary_suffix = ".new";

std::string folder_of(const std::string& path) {
  const std::size_t slash = path.rfind('/');
  if (path.empty() || path.front() != '/' || slash + 1 == path.size()) {
    throw Error("the agent's socket " + quote(path) + " is not an absolute path of a file");
  }
  return slash == 0 ? "/" : path.substr(0, slash);
}

// Whoever may write in the folder can put a socket of his own there, and answer the plugin.
void make_folder(const std::string& folder) {
  if (mkdir(folder.c_str(), S_IRWXU) == 0) return;
  if (errno != EEXIST) throw Error(errno, "make the folder " + quote(folder));
  struct stat status {};
  if (stat(folder.c_str(), &status) != 0) throw Error(errno, "look at " + quote(folder));
  const bool ours = status.st_uid == geteuid() || status.st_uid == 0;
  if (!ours || (status.st_mode & (S_IWGRP | S_IWOTH)) != 0) {
    throw Error("others may write in " + quote(folder) + ", where the agent's socket would be");
  }
}

sockaddr_un address_of(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) {
    throw Error("the path of the agent's socket, " + quote(path) + ", is longer than " +
                std::to_string(sizeof address.sun_path - 1) + " bytes");
  }
  std::memcpy(&address.sun_path, path.c_str(), path.size() + 1);
  return address;
}

// False if another agent that starts at the same time took the temporary name away.
bool bind_and_rename(int fd, const std::string& path) {
  const std::string temporary = path + temporary_suffix;
  const sockaddr_un address = address_of(temporary);
  if (unlink(temporary.c_str()) != 0 && errno != ENOENT) {
    throw Error(errno, "remove " + quote(temporary));
  }
  if (bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    if (errno == EADDRINUSE) return false;
    throw Error(errno, "bind a socket to " + quote(temporary));
  }
  if (listen(fd, SOMAXCONN) != 0) throw Error(errno, "listen at " + quote(temporary));
  if (std::rename(temporary.c_str(), path.c_str()) != 0) {
    if (errno == ENOENT) return false;
    throw Error(errno, "rename " + quote(temporary) + " to " + quote(path));
  }
  return true;
}

}  // namespace

kernel::Fd listen_at(const std::string& path) {
  make_folder(folder_of(path));
  constexpr int attempts = 5;
  for (int attempt = 0; attempt < attempts; ++attempt) {
    kernel::Fd fd(socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    if (!fd) throw Error(errno, "make a socket");
    // bind(2) gives the file the mode of the socket, so that it never has another.
    if (fchmod(fd.get(), S_IRUSR | S_IWUSR) != 0) throw Error(errno, "set a socket's mode");
    if (bind_and_rename(fd.get(), path)) return fd;
  }
  throw Error(EADDRINUSE, "put the agent's socket at " + quote(path));
}

kernel::Fd accept_from(int listener) {
  kernel::Fd fd(accept4(listener, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
  if (!fd && errno != EAGAIN && errno != EINTR && errno != ECONNABORTED) {
    throw Error(errno, "accept a connection");
  }
  return fd;
}

long peer_uid(int connection) {
  ucred peer{};
  socklen_t size = sizeof peer;
  if (getsockopt(connection, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0) return -1;
  return static_cast<long>(peer.uid);
}

}  // namespace sluice::agent
