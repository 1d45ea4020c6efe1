// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/repair/pod_netns.h"

#include <unistd.h>

#include <catch2/catch.hpp>

#include "tests/agent/fake_node.h"

namespace sluice::agent {
namespace {

using Catch::Matchers::Contains;
namespace fs = std::filesystem;

// The UID is as long as a real one, and has its dashes.
const std::string uid = "5d9f9a0e-6c8b-4a3d-9a57-3f1d6a0f0b11";

PodRecord pod_at(const std::string& address) {
  return {.name_space = "demo", .name = "web", .uid = uid, .addresses = {parse_address(address)}};
}

struct Fixture {
  FakeNode node;
  PodNamespaces namespaces{node.proc(), {node.netns_dir()}, node.opener()};

  FoundNetns find(const PodRecord& pod, const std::string& told = {}) {
    return namespaces.find(pod, told, Clock::now());
  }
  bool was_opened(const std::string& path) const {
    const std::vector<std::string> all = node.opened();
    return std::find(all.begin(), all.end(), path) != all.end();
  }
};

// What a namespace is told by in these tests.
std::string only_link(const FoundNetns& found) {
  return found.netns ? found.links.at(1).name : "";
}

}  // namespace

TEST_CASE_METHOD(Fixture, "a namespace is found by its file", "[netns]") {
  node.add("cni-a", "10.0.0.1");
  node.add("cni-b", "10.0.0.2").links.at(1).name = "eth7";
  const FoundNetns found = find(pod_at("10.0.0.2"));
  REQUIRE(found.netns);
  CHECK(found.interface == "eth7");
  CHECK(found.links.size() == 2);
}

TEST_CASE_METHOD(Fixture, "a namespace is found by a process in it", "[netns]") {
  node.add_process("77", "10.0.0.2");
  fs::create_directories(fs::path(node.proc()) / "sys");
  CHECK(find(pod_at("10.0.0.2")).netns);
}

TEST_CASE_METHOD(Fixture, "where the plugin worked is tried first", "[netns]") {
  node.add("cni-b", "10.0.0.2");
  SECTION("by the last part of its path") {
    CHECK(find(pod_at("10.0.0.2"), "/var/run/netns/cni-b").netns);
    CHECK(node.opened() == std::vector<std::string>{node.netns_dir() + "/cni-b"});
  }
  SECTION("by its process") {
    node.add_process("78", "10.0.0.3");
    CHECK(find(pod_at("10.0.0.3"), "/proc/78/ns/net").netns);
    CHECK(node.opened() == std::vector<std::string>{node.proc() + "/78/ns/net"});
  }
  SECTION("but its owner is checked all the same") {
    node.add("cni-c", "10.0.0.3").links.at(1).name = "right";
    CHECK(only_link(find(pod_at("10.0.0.3"), "/var/run/netns/cni-b")) == "right");
  }
  SECTION("and nothing is made of a path that leads elsewhere") {
    for (const char* told : {"..", "/run/netns/..", "/", "/proc/../ns/net", "/proc//ns/net"}) {
      INFO(told);
      CHECK_FALSE(find(pod_at("10.9.9.9"), told).netns);
    }
  }
}

TEST_CASE_METHOD(Fixture, "an address on lo makes nobody the owner", "[netns]") {
  node.add("cni-a", "10.0.0.1").links.at(0).addresses = {parse_address("10.0.0.2")};
  const FoundNetns found = find(pod_at("10.0.0.2"));
  CHECK_FALSE(found.netns);
  CHECK(found.why == "no network namespace on this node holds its address 10.0.0.2");
}

TEST_CASE_METHOD(Fixture, "the host's namespace is never opened", "[netns]") {
  node.add_process("1", "10.0.0.2");  // a host that holds the pod's address
  node.enter("90", "proc/1/ns/net");
  fs::create_hard_link(node.proc() + "/1/ns/net", node.netns_dir() + "/host");
  CHECK_FALSE(find(pod_at("10.0.0.2"), "/run/netns/host").netns);
  CHECK_FALSE(find(pod_at("10.0.0.2"), "/proc/1/ns/net").netns);
  namespaces.scan();
  CHECK(node.opened().empty());
}

TEST_CASE_METHOD(Fixture, "without knowing the host's namespace no process is followed",
                 "[netns]") {
  node.add("cni-a", "10.0.0.2");
  node.add_process("77", "10.0.0.3");
  fs::remove(node.proc() + "/1/ns/net");
  namespaces.scan();
  CHECK_FALSE(namespaces.knows_host());
  CHECK(find(pod_at("10.0.0.2")).netns);
  CHECK_THAT(find(pod_at("10.0.0.3"), "/proc/77/ns/net").why,
             Contains("processes are not searched"));
  CHECK_FALSE(was_opened(node.proc() + "/77/ns/net"));
}

TEST_CASE_METHOD(Fixture, "our own namespace is never returned", "[netns]") {
  node.add("cni-a", "10.0.0.2").own = true;
  CHECK_FALSE(find(pod_at("10.0.0.2"), "/run/netns/cni-a").netns);
}

TEST_CASE_METHOD(Fixture, "of two with the address, the pod's cgroup decides", "[netns]") {
  node.add("cni-a", "10.0.0.2").links.at(1).name = "left";
  node.add("cni-b", "10.0.0.2").links.at(1).name = "right";
  SECTION("nobody knows") {
    const FoundNetns found = find(pod_at("10.0.0.2"));
    CHECK_FALSE(found.netns);
    CHECK_THAT(found.why, Contains("2 network namespaces hold an address of it (10.0.0.2)"));
  }
  SECTION("a process of the pod is in one") {
    node.enter("80", "netns/cni-a");
    node.enter("81", "netns/cni-b");
    node.folder().write("proc/80/cgroup", "0::/kubepods/pod00000000-0000-0000-0000-000000000000/x");
    SECTION("as the cgroupfs driver writes it") {
      node.folder().write("proc/81/cgroup", "0::/kubepods/burstable/pod" + uid + "/abc\n");
    }
    SECTION("as the systemd driver writes it") {
      node.folder().write(
          "proc/81/cgroup",
          "0::/kubepods.slice/kubepods-pod5d9f9a0e_6c8b_4a3d_9a57_3f1d6a0f0b11.slice");
    }
    CHECK(only_link(find(pod_at("10.0.0.2"))) == "right");
  }
}

// Addresses are used again, and a record of a pod that is gone may be left where the API is away.
TEST_CASE_METHOD(Fixture, "a namespace with another pod's process is not taken", "[netns]") {
  node.add("cni-a", "10.0.0.2");
  node.enter("80", "netns/cni-a");
  SECTION("another pod's, of a controller or static") {
    const char* other = GENERATE("0::/kubepods/pod00000000-0000-4000-8000-000000000000/x",
                                 "0::/../../kubepods-pod00000000_0000_4000_8000_000000000000.slice",
                                 "0::/kubepods/pod0123456789abcdef0123456789abcdef/y");
    node.folder().write("proc/80/cgroup", other);
    const FoundNetns found = find(pod_at("10.0.0.2"));
    CHECK_FALSE(found.netns);
    CHECK_THAT(found.why, Contains("is another pod's"));
  }
  SECTION("one of its own is in it, too") {
    node.enter("81", "netns/cni-a");
    node.folder().write("proc/80/cgroup", "0::/kubepods/pod00000000-0000-4000-8000-000000000000/x");
    node.folder().write("proc/81/cgroup", "0::/kubepods/pod" + uid + "/abc\n");
    CHECK(find(pod_at("10.0.0.2")).netns);
  }
  SECTION("a process of no pod says nothing") {
    node.folder().write("proc/80/cgroup", "0::/system.slice/podman-0123456789.service");
    CHECK(find(pod_at("10.0.0.2")).netns);
  }
}

TEST_CASE_METHOD(Fixture, "a file of the runtime counts before a process", "[netns]") {
  // Whoever has a process can make a namespace and give it any address.
  node.add("cni-a", "10.0.0.2").links.at(1).name = "right";
  node.add_process("66", "10.0.0.2").links.at(1).name = "wrong";
  namespaces.scan();
  CHECK(only_link(find(pod_at("10.0.0.2"))) == "right");
}

TEST_CASE_METHOD(Fixture, "a namespace that has vanished or cannot be entered", "[netns]") {
  FakePod& bad = node.add("cni-a", "10.0.0.2");
  SECTION("is gone when it is needed") {
    namespaces.scan();
    fs::remove(node.netns_dir() + "/cni-a");
    CHECK_FALSE(find(pod_at("10.0.0.2")).netns);
  }
  SECTION("fails when it is indexed") {
    bad.calls.fail(1, Error(EPERM, "enter"));
    node.add("cni-b", "10.0.0.3");
    namespaces.scan();
    CHECK(find(pod_at("10.0.0.3")).netns);
  }
  SECTION("fails once where the plugin worked") {
    namespaces.scan();
    bad.calls.fail(1, Error(EPERM, "enter the network namespace"));
    const FoundNetns found = find(pod_at("10.0.0.2"), "/run/netns/cni-a");
    CHECK(found.netns);
    CHECK(found.why.empty());
  }
}

TEST_CASE_METHOD(Fixture, "what comes later is found by another look", "[netns]") {
  namespaces.scan();
  CHECK_FALSE(namespaces.find(pod_at("10.0.0.2"), "", {}).netns);
  SECTION("a file") {
    node.add("cni-a", "10.0.0.2");
  }
  SECTION("a process") {
    node.add_process("70", "10.0.0.2");
  }
  CHECK(eventually([&] { return namespaces.find(pod_at("10.0.0.2"), "", {}).netns != nullptr; }));
}

TEST_CASE_METHOD(Fixture, "each namespace is looked into once", "[netns]") {
  node.add("cni-a", "10.0.0.1");
  for (int pid = 100; pid < 110; ++pid) node.enter(std::to_string(pid), "netns/cni-a");
  node.add_process("200", "10.0.0.2");
  for (int pid = 201; pid < 210; ++pid) {
    node.enter(std::to_string(pid), "proc/200/ns/net");
  }
  namespaces.scan();
  CHECK(node.opened().size() == 2);
}

}  // namespace sluice::agent
