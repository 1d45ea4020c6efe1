// SPDX-License-Identifier: GPL-2.0-or-later
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <catch2/catch.hpp>

#include "agent/lookup/listener.h"
#include "rules/error.h"
#include "tests/agent/lookup_peer.h"

namespace sluice::agent {
namespace {

mode_t mode_of(const std::string& path) {
  struct stat status {};
  REQUIRE(lstat(path.c_str(), &status) == 0);
  return status.st_mode;
}

// As a process that is killed leaves it.
void leave_socket_behind(const std::string& path) {
  const kernel::Fd fd(socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0));
  const sockaddr_un address = socket_address(path);
  REQUIRE(bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
}

}  // namespace

TEST_CASE("the socket is its owner's alone, in a folder that is made so") {
  const TemporaryFolder folder;
  const mode_t former = umask(0);
  const kernel::Fd fd = listen_at(folder / "new/agent.sock");
  umask(former);
  CHECK((mode_of(folder / "new") & 0777U) == 0700);
  CHECK(mode_of(folder / "new/agent.sock") == (S_IFSOCK | 0600U));
  CHECK(access((folder / "new/agent.sock.new").c_str(), F_OK) != 0);
  CHECK_FALSE(accept_from(fd.get()));
  const Peer peer(folder / "new/agent.sock");
  const kernel::Fd connection = accept_from(fd.get());
  REQUIRE(connection);
  CHECK(peer_uid(connection.get()) == static_cast<long>(geteuid()));
}

TEST_CASE("leftovers of a crash refuse at once and are replaced") {
  const TemporaryFolder folder;
  leave_socket_behind(folder / "s");
  leave_socket_behind(folder / "s.new");
  CHECK(Peer(folder / "s").error() == ECONNREFUSED);
  const kernel::Fd fd = listen_at(folder / "s");
  CHECK(Peer(folder / "s").error() == 0);
  CHECK(access((folder / "s.new").c_str(), F_OK) != 0);
}

TEST_CASE("a link in its place is replaced, not followed") {
  const TemporaryFolder folder;
  REQUIRE(symlink("/etc/passwd", (folder / "s").c_str()) == 0);
  REQUIRE(symlink("/etc/passwd", (folder / "s.new").c_str()) == 0);
  const mode_t before = mode_of("/etc/passwd");
  const kernel::Fd fd = listen_at(folder / "s");
  CHECK(S_ISSOCK(mode_of(folder / "s")));
  CHECK(mode_of("/etc/passwd") == before);
}

TEST_CASE("where a socket cannot be, or not safely, it says so") {
  const TemporaryFolder folder;
  REQUIRE(mkdir((folder / "open").c_str(), 0700) == 0);
  REQUIRE(chmod((folder / "open").c_str(), 0777) == 0);
  CHECK_THROWS_WITH(listen_at(folder / "open/s"), Catch::Contains("others may write in"));
  CHECK_THROWS_WITH(listen_at(folder / std::string(120, 'x')), Catch::Contains("is longer than"));
  CHECK_THROWS_WITH(listen_at("s"), Catch::Contains("not an absolute path"));
  CHECK_THROWS_WITH(listen_at(""), Catch::Contains("not an absolute path"));
  CHECK_THROWS_WITH(listen_at(folder.path() + "/"), Catch::Contains("not an absolute path"));
  CHECK_THROWS_WITH(listen_at(folder / "not/there/s"), Catch::Contains("No such file"));
  REQUIRE(mkdir((folder / "d").c_str(), 0700) == 0);
  CHECK_THROWS_WITH(listen_at(folder / "d"), Catch::Contains("Is a directory"));
  REQUIRE(mkdir((folder / "e.new").c_str(), 0700) == 0);
  CHECK_THROWS_AS(listen_at(folder / "e"), Error);
}

}  // namespace sluice::agent
