// SPDX-License-Identifier: GPL-2.0-or-later
// What the goldens do not say: what happens to IPv6, and what belongs into a namespace as a whole.
// Rules are compared in the goldens.
#include <algorithm>
#include <catch2/catch.hpp>
#include <string>
#include <vector>

#include "rules/parse.h"
#include "rules/redirect.h"

namespace sluice {
namespace {

using enum FamilyAction;

PodNetwork pod_with(const std::vector<const char*>& addresses) {
  PodNetwork pod;
  for (const char* address : addresses) pod.addresses.push_back(parse_address(address));
  return pod;
}

RedirectConfig with_policy(Ipv6Policy policy, bool dual_stack = false) {
  RedirectConfig config;
  config.ipv6 = policy;
  config.dual_stack = dual_stack;
  return config;
}

struct ActionCase {
  std::vector<const char*> addresses;
  FamilyAction of_automatic;
  FamilyAction of_block;
};

TEST_CASE("interception: the first address that counts decides on IPv6", "[interception]") {
  const std::vector<ActionCase> cases{
      {{}, none, block},
      {{"10.0.0.1"}, none, block},
      {{"10.0.0.1", "fd00::1"}, none, block},
      {{"fd00::1"}, redirect, redirect},
      {{"fd00::1", "10.0.0.1"}, redirect, redirect},
      {{"2001:db8::1"}, redirect, redirect},
      // Addresses that no peer reaches are passed over, of both families.
      {{"fe80::1"}, none, block},
      {{"fe80::1", "10.0.0.1", "fd00::1"}, none, block},
      {{"fe80::1", "fd00::1", "10.0.0.1"}, redirect, redirect},
      {{"::1"}, none, block},
      {{"::1", "fd00::1"}, redirect, redirect},
      {{"ff02::1", "fd00::1"}, redirect, redirect},
      {{"127.0.0.1", "fd00::1"}, redirect, redirect},
      {{"169.254.1.1", "fd00::1"}, redirect, redirect},
      {{"224.0.0.1", "fd00::1"}, redirect, redirect},
      {{"169.254.1.1"}, none, block},
  };
  for (const ActionCase& c : cases) {
    const PodNetwork pod = pod_with(c.addresses);
    CAPTURE(c.addresses);
    CHECK(ipv6_action(with_policy(Ipv6Policy::automatic), pod) == c.of_automatic);
    CHECK(ipv6_action(with_policy(Ipv6Policy::block), pod) == c.of_block);
    // A mesh of both families redirects wherever it is not told otherwise.
    CHECK(ipv6_action(with_policy(Ipv6Policy::automatic, true), pod) == redirect);
    CHECK(ipv6_action(with_policy(Ipv6Policy::block, true), pod) == redirect);
    for (const bool dual_stack : {false, true}) {
      CHECK(ipv6_action(with_policy(Ipv6Policy::always, dual_stack), pod) == redirect);
      CHECK(ipv6_action(with_policy(Ipv6Policy::never, dual_stack), pod) == none);
    }
  }
}

TEST_CASE("interception: usable IPv6 addresses", "[interception]") {
  for (const char* text : {"fd00::1", "2001:db8::1", "fec0::1"}) {
    CAPTURE(text);
    CHECK(is_usable_ipv6(parse_address(text)));
  }
  for (const char* text : {"::1", "fe80::1", "febf::1", "ff02::1", "10.0.0.1", "127.0.0.1"}) {
    CAPTURE(text);
    CHECK_FALSE(is_usable_ipv6(parse_address(text)));
  }
}

std::vector<std::string> uncaptured(const RedirectConfig& config, const PodNetwork& pod) {
  std::vector<std::string> texts;
  for (const IpAddress& address : uncaptured_ipv6(config, pod)) texts.push_back(to_string(address));
  return texts;
}

TEST_CASE("interception: IPv6 that goes past the mesh is named only where nobody chose that",
          "[interception]") {
  using Texts = std::vector<std::string>;
  const PodNetwork pod = pod_with({"10.0.0.1", "fe80::1", "fd00::1", "2001:db8::1", "::1"});
  CHECK(uncaptured(with_policy(Ipv6Policy::automatic), pod) == Texts{"fd00::1", "2001:db8::1"});
  CHECK(uncaptured(with_policy(Ipv6Policy::automatic, true), pod).empty());
  CHECK(uncaptured(with_policy(Ipv6Policy::always), pod).empty());
  CHECK(uncaptured(with_policy(Ipv6Policy::never), pod).empty());
  CHECK(uncaptured(with_policy(Ipv6Policy::block), pod).empty());
  CHECK(uncaptured(with_policy(Ipv6Policy::automatic), pod_with({"fd00::1", "10.0.0.1"})).empty());
  CHECK(uncaptured(with_policy(Ipv6Policy::automatic), pod_with({"10.0.0.1", "fe80::1"})).empty());
  RedirectConfig off = with_policy(Ipv6Policy::automatic);
  off.mode = InterceptionMode::none;
  CHECK(uncaptured(off, pod).empty());
}

std::vector<Family> families_of(const Interception& all) {
  std::vector<Family> families;
  for (const Ruleset& ruleset : all.rulesets) families.push_back(ruleset.family);
  return families;
}

const std::vector<Cidr> passthrough{parse_cidr("::6/128")};

TEST_CASE("interception: an IPv4 pod gets IPv4 rules and no address", "[interception]") {
  const RedirectConfig config;
  const Interception all = interception(config, pod_with({"10.0.0.1"}));
  CHECK(families_of(all) == std::vector{Family::ipv4});
  CHECK(all.rulesets.front() == redirect_ruleset(config, Family::ipv4));
  CHECK(all.loopback_addresses.empty());
  CHECK_FALSE(all.ipv6_required);
}

TEST_CASE("interception: a pod of both families gets the rules of both", "[interception]") {
  const RedirectConfig config = with_policy(Ipv6Policy::automatic, true);
  const Interception all = interception(config, pod_with({"10.0.0.1", "fd00::1"}));
  REQUIRE(families_of(all) == std::vector{Family::ipv4, Family::ipv6});
  CHECK(all.rulesets[0] == redirect_ruleset(config, Family::ipv4));
  CHECK(all.rulesets[1] == redirect_ruleset(config, Family::ipv6));
  CHECK(all.loopback_addresses == passthrough);
  CHECK(all.ipv6_required);
}

TEST_CASE("interception: the passthrough address is there only where IPv6 comes in by it",
          "[interception]") {
  RedirectConfig config = with_policy(Ipv6Policy::always);
  PodNetwork pod = pod_with({"fd00::1"});
  CHECK(interception(config, pod).loopback_addresses == passthrough);
  config.include_inbound_ports = parse_port_selection("80");
  CHECK(interception(config, pod).loopback_addresses == passthrough);
  config.include_inbound_ports = parse_port_selection("");
  CHECK(interception(config, pod).loopback_addresses.empty());
  config.include_inbound_ports = {};
  pod.ipv6_on_loopback = false;
  CHECK(interception(config, pod).loopback_addresses.empty());
  pod.ipv6_on_loopback = true;
  CHECK(interception(with_policy(Ipv6Policy::never), pod).loopback_addresses.empty());
  CHECK(interception(with_policy(Ipv6Policy::block), pod_with({"10.0.0.1"}))
            .loopback_addresses.empty());
}

TEST_CASE("interception: IPv6 is required where the pod has an address that leaks",
          "[interception]") {
  CHECK(interception(with_policy(Ipv6Policy::always), pod_with({"10.0.0.1", "fd00::1"}))
            .ipv6_required);
  CHECK_FALSE(interception(with_policy(Ipv6Policy::always), pod_with({"10.0.0.1", "fe80::1"}))
                  .ipv6_required);
  CHECK_FALSE(interception(with_policy(Ipv6Policy::always), pod_with({})).ipv6_required);
  CHECK(interception(with_policy(Ipv6Policy::block), pod_with({"10.0.0.1", "fd00::1"}))
            .ipv6_required);
}

TEST_CASE("interception: blocking is of IPv6 alone, and in filter", "[interception]") {
  const Interception all =
      interception(with_policy(Ipv6Policy::block), pod_with({"10.0.0.1", "fd00::1"}));
  REQUIRE(families_of(all) == std::vector{Family::ipv4, Family::ipv6});
  CHECK(find_table(all.rulesets[0], Table::nat) != nullptr);
  CHECK(find_table(all.rulesets[0], Table::filter) == nullptr);
  CHECK(find_table(all.rulesets[1], Table::nat) == nullptr);
  CHECK(find_table(all.rulesets[1], Table::filter) != nullptr);
}

TEST_CASE("interception: mode NONE wants nothing in the namespace", "[interception]") {
  RedirectConfig config = with_policy(Ipv6Policy::always);
  config.mode = InterceptionMode::none;
  const Interception all = interception(config, pod_with({"fd00::1"}));
  CHECK(all.loopback_addresses.empty());
  for (const Ruleset& ruleset : all.rulesets) CHECK(ruleset.tables.empty());
}

}  // namespace
}  // namespace sluice
