// SPDX-License-Identifier: GPL-2.0-or-later
// Pods with a user namespace of their own, through PodBackend.
#include "tests/kernel/pod_user_namespace.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <grp.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <sys/socket.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <functional>
#include <stdexcept>
#include <string>
#include <system_error>
#include <variant>
#include <vector>

#include "rules/diff.h"
#include "rules/error.h"
#include "rules/kernel/nft/offered.h"
#include "rules/kernel/pod_backend.h"
#include "rules/kernel/user_namespace.h"
#include "rules/kernel/xt/table.h"
#include "rules/kernel/xt/vet.h"
#include "tests/kernel/configs.h"

namespace sluice::kernel {
namespace {

constexpr std::uint16_t proxy_port = 15001;
constexpr uid_t first_id = 100000;  // on the host, of the pod's root

std::vector<BackendChoice> offered_backends(const TestNetns& netns) {
  std::vector<BackendChoice> all{BackendChoice::xtables};
  netns.inside([&] {
    if (nft::is_offered()) all.push_back(BackendChoice::nftables);
  });
  return all;
}

// An interface whose other end answers nothing.
void add_link(const TestNetns& netns) {
  netns.must({"ip", "link", "set", "lo", "up"});
  netns.must({"ip", "link", "add", "eth0", "type", "veth", "peer", "name", "peer"});
  netns.must({"ip", "addr", "add", "10.96.0.2/24", "dev", "eth0"});
  netns.must({"ip", "link", "set", "eth0", "up"});
  netns.must({"ip", "link", "set", "peer", "up"});
}

sockaddr_in address_of(const char* address, std::uint16_t port) {
  sockaddr_in name{};
  name.sin_family = AF_INET;
  name.sin_port = htons(port);
  inet_pton(AF_INET, address, &name.sin_addr);
  return name;
}

// Whether a connection of this user of the pod beyond it ends at the proxy's port.
std::string where_to(const TestNetns& netns, uid_t inside) {
  return in_child([&] {
    const uid_t id = first_id + inside;
    if (setns(netns.fd(), CLONE_NEWNET) != 0) return std::string("setns");
    const Fd listener(socket(AF_INET, SOCK_STREAM, 0));
    const sockaddr_in here = address_of("127.0.0.1", proxy_port);
    if (bind(listener.get(), reinterpret_cast<const sockaddr*>(&here), sizeof here) != 0 ||
        listen(listener.get(), 1) != 0) {
      return std::string("listen");
    }
    if (setgroups(0, nullptr) != 0 || setgid(id) != 0 || setuid(id) != 0) {
      return std::string("become the user");
    }
    const Fd client(socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0));
    const sockaddr_in there = address_of("10.96.0.9", 80);
    static_cast<void>(
        connect(client.get(), reinterpret_cast<const sockaddr*>(&there), sizeof there));
    pollfd ready{.fd = listener.get(), .events = POLLIN, .revents = 0};
    return std::string(poll(&ready, 1, 500) == 1 ? "proxy" : "beyond");
  });
}

TEST_CASE("the owner of a network namespace is told", "[userns]") {
  PodUserNamespace pod;
  const Netns::Owner& theirs = pod.netns().netns().owner();
  CHECK_FALSE(theirs.is_own);
  CHECK(theirs.fd);
  const TestNetns netns;
  CHECK(netns.netns().owner().is_own);
  CHECK(in_child([&] {
          if (unshare(CLONE_NEWUSER) != 0) return std::string("unshare");
          const auto opened = Netns::open(netns.path());
          const Netns::Owner& ancestor = std::get<Netns>(opened).owner();
          return std::string(ancestor.is_own ? "own" : "") + (ancestor.fd ? "known" : "unknown");
        }) == "unknown");
}

TEST_CASE("a pod with a user namespace is redirected for its own users", "[userns]") {
  PodUserNamespace pod;
  TestNetns& netns = pod.netns();
  add_link(netns);
  for (const BackendChoice choice : offered_backends(netns)) {
    PodBackend backend(netns.netns(), {.backend = choice}, "sluice");
    INFO(backend.name());
    const Interception wanted = both_families(small_config());
    CHECK(backend.apply(wanted).empty());
    CHECK(diff(wanted, backend.read()).empty());
    CHECK(where_to(netns, 1000) == "proxy");
    CHECK(where_to(netns, 1337) == "beyond");
    CHECK(backend.apply(wanted).empty());
    CHECK(backend.remove().empty());
    CHECK(diff(Interception{}, backend.read()).empty());
    CHECK(netns.addresses().find("00000000000000000000000000000006") == std::string::npos);
    CHECK(where_to(netns, 1000) == "beyond");
  }
}

TEST_CASE("the choice for a pod with a user namespace", "[userns]") {
  PodUserNamespace pod;
  const TestNetns& netns = pod.netns();
  const Choice choice = choose_in(netns.netns(), {});
  CHECK(choice.backend == offered_backends(netns).back());
  CHECK_THAT(choice.reason, Catch::StartsWith("the pod has a user namespace of its own"));
  CHECK(choose_in(netns.netns(), {.choice = BackendChoice::xtables}).backend ==
        BackendChoice::xtables);
}

// Where nf_tables is offered: the rules that an init container wrote by x_tables go all the same.
TEST_CASE("whichever is chosen empties both", "[userns]") {
  PodUserNamespace pod;
  TestNetns& netns = pod.netns();
  const Interception wanted = ipv4_only(small_config());
  PodBackend(netns.netns(), {.backend = BackendChoice::xtables}, "sluice").apply(wanted);
  // An owner match of somebody else's: its table can only be written from within too.
  in_user_namespace(pod.user_namespace(), netns.fd(), []() -> Notices {
    const auto table = xt::XtTable::open(Family::ipv4, Table::nat);
    table->append("POSTROUTING", {.matches = {Owner{.uid = OwnerRange{.first = 7, .last = 7}}}});
    if (!table->commit()) throw std::runtime_error("commit");
    return {};
  });
  for (const BackendChoice choice : offered_backends(netns)) {
    PodBackend backend(netns.netns(), {.backend = choice}, "sluice");
    INFO(backend.name());
    backend.apply(wanted);
    CHECK(diff(wanted, backend.read()).empty());
  }
  PodBackend(netns.netns(), {.backend = offered_backends(netns).back()}, "sluice").remove();
  const std::string left = netns.save(Family::ipv4);
  CHECK(left.find("ISTIO") == std::string::npos);
  CHECK(left.find("--uid-owner 7") != std::string::npos);
}

// While one exists every table of x_tables has too many rules.
class FewEntries {
 public:
  FewEntries() { xt::limit_entries(1); }
  FewEntries(const FewEntries&) = delete;
  FewEntries(FewEntries&&) = delete;
  FewEntries& operator=(const FewEntries&) = delete;
  FewEntries& operator=(FewEntries&&) = delete;
  ~FewEntries() { xt::limit_entries(131'072); }
};

// What a pod's root can do to x_tables does not keep the rules from being written by nf_tables.
TEST_CASE("a table that cannot be read is left alone, and that is said", "[userns]") {
  PodUserNamespace pod;
  TestNetns& netns = pod.netns();
  if (offered_backends(netns).size() == 1) return;
  netns.must({"iptables-legacy", "-t", "nat", "-N", "THEIRS"});
  PodBackend backend(netns.netns(), {.backend = BackendChoice::nftables}, "sluice");
  const Interception wanted = both_families(small_config());
  const auto unreadable = [](const std::function<Notices()>& action) {
    const FewEntries limit;
    return action();
  };
  const Notices notices = unreadable([&] { return backend.apply(wanted); });
  REQUIRE(notices.size() == 1);
  CHECK_THAT(notices.front(), Catch::StartsWith("rules of ours may be left behind: ") &&
                                  Catch::Contains("IPv4 table nat"));
  CHECK(diff(wanted, backend.read()).empty());
  CHECK_THROWS_WITH(unreadable([&] { return backend.remove(); }),
                    Catch::Contains("IPv4 table nat"));
  CHECK(diff(Interception{}, backend.read()).empty());
}

// A child takes more than the process itself.
TEST_CASE("it is told when no child is to come", "[userns]") {
  PodUserNamespace pod;
  TestNetns& netns = pod.netns();
  if (offered_backends(netns).size() == 1) return;
  const Interception wanted = both_families(small_config());
  int told = 0;
  const auto apply = [&](BackendChoice choice) {
    told = 0;
    PodBackend(netns.netns(), {.backend = choice}, "sluice", [&] { ++told; }).apply(wanted);
    return told;
  };
  CHECK(apply(BackendChoice::nftables) == 1);
  CHECK(apply(BackendChoice::xtables) == 0);
  CHECK(apply(BackendChoice::nftables) == 0);
  CHECK(apply(BackendChoice::nftables) == 1);
}

TEST_CASE("IDs that the pod's user namespace does not map are refused", "[userns]") {
  PodUserNamespace pod("0 100000 1");
  TestNetns& netns = pod.netns();
  try {
    netns.backend().apply(both_families(small_config()));
    FAIL("the kernel took the rules");
  } catch (const Error& error) {
    CHECK(error.code() == std::errc::invalid_argument);
    CHECK_THAT(error.what(), Catch::StartsWith("commit IPv4 table nat (an owner match takes only "
                                               "UIDs and GIDs that the pod's user namespace maps"));
  }
  CHECK(diff(Interception{}, netns.backend().read()).empty());
  CHECK(netns.addresses().find("00000000000000000000000000000006") == std::string::npos);
}

}  // namespace
}  // namespace sluice::kernel
