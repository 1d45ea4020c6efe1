// SPDX-License-Identifier: GPL-2.0-or-later
// The agent's socket against agents that work, hang and lie.
#include "cmd/agent_socket.h"

#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <catch2/catch.hpp>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <string>
#include <system_error>
#include <thread>
#include <vector>

#include "cni/agent_message.h"
#include "rules/error.h"
#include "rules/kernel/fd.h"
#include "tests/kernel/child.h"

namespace sluice::cmd {
namespace {

using kernel::Fd;
using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

// Long enough for any machine, where the deadline is not what is tested.
constexpr auto patient = 60s;

sockaddr_un address_of(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::strncpy(address.sun_path, path.c_str(), sizeof address.sun_path - 1);
  return address;
}

struct Folder {
  Folder() {
    std::string name = "/tmp/sluice-agent-XXXXXX";
    if (mkdtemp(name.data()) == nullptr) throw std::system_error(errno, std::generic_category());
    chmod(name.c_str(), 0777);
    path = name;
    socket = path + "/agent.sock";
  }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  ~Folder() {
    unlink(socket.c_str());
    rmdir(path.c_str());
  }
  std::string path;
  std::string socket;
};

Fd listening(const std::string& path, int backlog) {
  Fd fd(socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0));
  const sockaddr_un address = address_of(path);
  if (bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 ||
      listen(fd.get(), backlog) != 0) {
    throw std::system_error(errno, std::generic_category(), path);
  }
  return fd;
}

std::string receive(const Fd& fd) {
  std::string packet(cni::agent_packet_limit + 1, '\0');
  const ssize_t got = recv(fd.get(), packet.data(), packet.size(), 0);
  packet.resize(got < 0 ? 0 : static_cast<std::size_t>(got));
  return packet;
}

void answer(const Fd& fd, const std::string& packet) {
  const int room = 8 * 1024 * 1024;
  setsockopt(fd.get(), SOL_SOCKET, SO_SNDBUFFORCE, &room, sizeof room);
  send(fd.get(), packet.data(), packet.size(), MSG_NOSIGNAL);
}

// An agent that serves one connection with `serve`.
class Agent {
 public:
  explicit Agent(std::function<void(const Fd&)> serve, int backlog = 16)
      : listener_(listening(folder_.socket, backlog)), thread_([this, serve = std::move(serve)] {
          const Fd peer(accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
          if (peer) serve(peer);
        }) {}
  Agent(const Agent&) = delete;
  Agent& operator=(const Agent&) = delete;
  ~Agent() {
    shutdown(listener_.get(), SHUT_RDWR);  // where nobody came, accept4() ends
    thread_.join();
  }
  const std::string& path() const { return folder_.socket; }

 private:
  Folder folder_;
  Fd listener_;
  std::thread thread_;
};

std::error_code code_of(const std::function<void()>& action) {
  try {
    action();
  } catch (const Error& error) {
    return error.code();
  }
  return {};
}

TEST_CASE("agent socket: a question and its answer", "[agent-socket]") {
  std::string heard;
  std::string wanted;
  {
    const std::size_t size =
        GENERATE(std::size_t{1}, std::size_t{300'000}, cni::agent_packet_limit);
    wanted = std::string(size, 'a');
    Agent agent([&](const Fd& peer) {
      heard = receive(peer);
      answer(peer, wanted);
    });
    CHECK(ask_agent(agent.path(), std::string(size, 'q'), Clock::now() + patient) == wanted);
  }
  CHECK(heard == std::string(wanted.size(), 'q'));
}

TEST_CASE("agent socket: nobody is there", "[agent-socket]") {
  const Folder folder;
  const auto ask = [&](const std::string& path) {
    const std::error_code code = code_of([&] { ask_agent(path, "q", Clock::now() + patient); });
    CHECK_FALSE(tell_agent(path, "q"));
    return code;
  };
  CHECK(ask(folder.socket) == std::errc::no_such_file_or_directory);
  CHECK(ask(folder.path) == std::errc::connection_refused);
  CHECK(ask("") == std::errc::filename_too_long);
  CHECK(ask("/" + std::string(107, 'x')) == std::errc::filename_too_long);
  { const Fd gone = listening(folder.socket, 1); }
  CHECK(ask(folder.socket) == std::errc::connection_refused);
}

// Fills the backlog: who comes now waits for accept(2).
std::vector<Fd> crowd(const std::string& path) {
  std::vector<Fd> all;
  const sockaddr_un address = address_of(path);
  for (;;) {
    Fd fd(socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) break;
    all.push_back(std::move(fd));
  }
  REQUIRE(errno == EAGAIN);
  return all;
}

TEST_CASE("agent socket: a hung agent costs the deadline", "[agent-socket]") {
  const Folder folder;
  const Fd listener = listening(folder.socket, 2);
  std::vector<Fd> others;
  SECTION("it never answers") {}
  SECTION("it never accepts and many wait already") {
    others = crowd(folder.socket);
    const Clock::time_point start = Clock::now();
    CHECK_FALSE(tell_agent(folder.socket, "report"));
    CHECK(Clock::now() - start < 5s);
  }
  for (const auto& ask : {ask_agent, ask_agent_for_all}) {
    const Clock::time_point start = Clock::now();
    CHECK(code_of([&] { ask(folder.socket, "q", start + 200ms); }) == std::errc::timed_out);
    CHECK(Clock::now() - start >= 200ms);
    CHECK(Clock::now() - start < 5s);
  }
  CHECK(code_of([&] { ask_agent(folder.socket, "q", Clock::now() - 1s); }) == std::errc::timed_out);
}

TEST_CASE("agent socket: signals do not end the wait", "[agent-socket]") {
  const Folder folder;
  const Fd listener = listening(folder.socket, 2);
  std::vector<Fd> others;
  if (GENERATE(true, false)) others = crowd(folder.socket);
  const std::string told = kernel::in_child([&]() -> std::string {
    struct sigaction action {};
    action.sa_handler = [](int) {};
    sigaction(SIGALRM, &action, nullptr);
    const itimerval often{.it_interval = {.tv_sec = 0, .tv_usec = 20'000},
                          .it_value = {.tv_sec = 0, .tv_usec = 20'000}};
    setitimer(ITIMER_REAL, &often, nullptr);
    const Clock::time_point start = Clock::now();
    const std::error_code code = code_of([&] { ask_agent(folder.socket, "q", start + 300ms); });
    const bool waited = Clock::now() - start >= 300ms;
    return code == std::errc::timed_out && waited ? "timed out" : code.message();
  });
  CHECK(told == "timed out");
}

TEST_CASE("agent socket: an agent that does not answer as it should", "[agent-socket]") {
  SECTION("it closes at once") {
    Agent agent([](const Fd&) {});
    const std::error_code code =
        code_of([&] { ask_agent(agent.path(), "q", Clock::now() + patient); });
    // By who is first.
    CHECK((code == std::errc::no_message_available || code == std::errc::connection_reset ||
           code == std::errc::broken_pipe));
  }
  SECTION("it answers with nothing") {
    Agent agent([](const Fd& peer) {
      receive(peer);
      answer(peer, "");
    });
    CHECK(code_of([&] { ask_agent(agent.path(), "q", Clock::now() + patient); }) ==
          std::errc::no_message_available);
  }
  SECTION("it answers with too much") {
    Agent agent([](const Fd& peer) {
      receive(peer);
      answer(peer, std::string(cni::agent_packet_limit + 1, 'a'));
    });
    CHECK(code_of([&] { ask_agent(agent.path(), "q", Clock::now() + patient); }) ==
          std::errc::message_size);
  }
}

TEST_CASE("agent socket: an answer in several packets", "[agent-socket]") {
  SECTION("up to an empty one") {
    Agent agent([](const Fd& peer) {
      for (const char* part : {"one ", "two ", "three", "", "four"}) answer(peer, part);
      receive(peer);
    });
    CHECK(ask_agent_for_all(agent.path(), "q", Clock::now() + patient) == "one two three");
  }
  SECTION("up to the end") {
    Agent agent([](const Fd& peer) {
      receive(peer);
      for (int i = 0; i < 3; ++i) answer(peer, std::string(300'000, 'a'));
    });
    CHECK(ask_agent_for_all(agent.path(), "q", Clock::now() + patient).size() == 900'000);
  }
  SECTION("that does not end") {
    Agent agent([](const Fd& peer) {
      receive(peer);
      answer(peer, "one");
      receive(peer);
    });
    CHECK(code_of([&] { ask_agent_for_all(agent.path(), "q", Clock::now() + 200ms); }) ==
          std::errc::timed_out);
  }
  SECTION("without end") {
    Agent agent([](const Fd& peer) {
      while (send(peer.get(), "more", 4, MSG_NOSIGNAL) > 0) {
      }
    });
    CHECK(code_of([&] { ask_agent_for_all(agent.path(), "q", Clock::now() + 200ms); }) ==
          std::errc::timed_out);
  }
}

TEST_CASE("agent socket: a report is sent and not waited for", "[agent-socket]") {
  std::string heard;
  const std::size_t size = GENERATE(std::size_t{1}, std::size_t{1'000'000});
  {
    Agent agent([&](const Fd& peer) { heard = receive(peer); });
    CHECK(tell_agent(agent.path(), std::string(size, 'r')));
    // Who hears it is the agent's thread, which ends then.
  }
  CHECK(heard == std::string(size, 'r'));
}

TEST_CASE("agent socket: a peer that is not root is told nothing", "[agent-socket]") {
  const Folder folder;
  kernel::Companion impostor([&](const kernel::Companion::Line& line) {
    if (setgid(65534) != 0 || setuid(65534) != 0) std::_Exit(2);
    const Fd listener = listening(folder.socket, 4);
    line.ready();
    for (int i = 0; i < 2; ++i) {
      const Fd peer(accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
      if (!receive(peer).empty()) std::_Exit(3);
    }
  });
  CHECK(code_of([&] { ask_agent(folder.socket, "secret", Clock::now() + patient); }) ==
        std::errc::operation_not_permitted);
  CHECK_FALSE(tell_agent(folder.socket, "secret"));
  CHECK(impostor.stop() == 0);
}

}  // namespace
}  // namespace sluice::cmd
