// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/repair/judge.h"

#include <algorithm>
#include <catch2/catch.hpp>

#include "rules/diff.h"
#include "rules/rule.h"
#include "tests/agent/live_rules.h"

namespace sluice::agent {
namespace {

using Catch::Matchers::Contains;

std::vector<IpAddress> addresses_of(const std::vector<const char*>& texts) {
  std::vector<IpAddress> addresses;
  for (const char* text : texts) addresses.push_back(parse_address(text));
  return addresses;
}

PodView pod_with(const std::vector<const char*>& texts) {
  const std::vector<IpAddress> addresses = addresses_of(texts);
  return {.addresses = addresses,
          .links = {{.name = "lo", .up = true, .loopback = true, .addresses = {}},
                    {.name = "eth0", .up = true, .addresses = addresses}},
          .interface = "eth0",
          .ipv6_on_loopback = true};
}

Interception written(const RedirectConfig& config, const std::vector<const char*>& texts) {
  return interception(config, {.addresses = addresses_of(texts)});
}

RedirectConfig dual_stack() {
  RedirectConfig config;
  config.dual_stack = true;
  return config;
}

RedirectConfig always() {
  RedirectConfig config;
  config.ipv6 = Ipv6Policy::always;
  return config;
}

Ruleset* find(Interception& all, Family family) {
  const auto found = std::find_if(all.rulesets.begin(), all.rulesets.end(),
                                  [&](const Ruleset& r) { return r.family == family; });
  return found == all.rulesets.end() ? nullptr : &*found;
}

bool writes(const Judgement& judgement, Family family) {
  Interception wanted = judgement.wanted;
  const Ruleset* ruleset = find(wanted, family);
  return ruleset != nullptr && !ruleset->tables.empty();
}

void drop_rules(Interception& all, Family family, const std::string& chain) {
  nat_rules(all, family, chain).clear();
}

constexpr const char* v4 = "10.0.0.2";
constexpr const char* v6 = "fd00::2";

}  // namespace

TEST_CASE("rules as the plugin writes them are intact", "[judge]") {
  for (const auto& pod : {std::vector{v4}, {v4, v6}, {v6}, {v6, v4}}) {
    for (const RedirectConfig& config : {RedirectConfig{}, dual_stack(), always()}) {
      PodView view = pod_with(pod);
      view.live = written(config, pod);
      const Judgement judgement = judge(config, view);
      INFO(pod.front() << " and " << pod.size() - 1 << ": " << judgement.why);
      CHECK(judgement.condition == PodCondition::intact);
      CHECK(judgement.why.empty());
      CHECK(diff(judgement.wanted, view.live).empty());
    }
  }
}

TEST_CASE("rules that capture nothing in a direction that is wanted are damaged", "[judge]") {
  PodView view = pod_with({v4});
  view.live = written({}, {v4});
  // What is left is what includeOutboundIPRanges "" writes.
  nat_rules(view.live, Family::ipv4, "ISTIO_OUTPUT").pop_back();
  CHECK(judge({}, view).condition == PodCondition::damaged);

  RedirectConfig nothing_inbound;
  nothing_inbound.include_inbound_ports = {.all = false};
  view.live = written(nothing_inbound, {v4});
  CHECK(judge({}, view).condition == PodCondition::damaged);
  // Where that is asked for, all is well, and more than that is another configuration.
  CHECK(judge(nothing_inbound, view).condition == PodCondition::intact);
  view.live = written({}, {v4});
  CHECK(judge(nothing_inbound, view).condition == PodCondition::outdated);
}

TEST_CASE("no rule of ours is missing rules, whatever else there is", "[judge]") {
  PodView view = pod_with({v4});
  Rule foreign;
  foreign.target = Jump{.chain = "KUBE-FIREWALL"};
  view.live.rulesets = {
      {.family = Family::ipv4,
       .tables = {{.table = Table::nat,
                   .chains = {{.name = "OUTPUT", .policy = Policy::accept, .rules = {foreign}}}}}}};
  const Judgement judgement = judge({}, view);
  CHECK(judgement.condition == PodCondition::missing);
  CHECK(diff(judgement.wanted, written({}, {v4})).empty());
}

TEST_CASE("what no configuration writes is damaged", "[judge]") {
  PodView view = pod_with({v4});
  view.live = written({}, {v4});
  SECTION("the jump is gone") {
    drop_rules(view.live, Family::ipv4, "OUTPUT");
  }
  SECTION("a chain is empty") {
    drop_rules(view.live, Family::ipv4, "ISTIO_REDIRECT");
  }
  SECTION("one rule was added") {
    std::vector<Rule>& rules = nat_rules(view.live, Family::ipv4, "ISTIO_OUTPUT");
    rules.insert(rules.begin(), Rule{.target = Return{}});
  }
  const Judgement judgement = judge({}, view);
  CHECK(judgement.condition == PodCondition::damaged);
  CHECK_THAT(judgement.why, Contains("IPv4 nat"));
}

TEST_CASE("what another configuration writes is outdated", "[judge]") {
  PodView view = pod_with({v4});
  RedirectConfig other;
  SECTION("of another layout") {
    other.layout = find_layout("istio-1.6");
  }
  SECTION("of another port") {
    other.proxy_port = 15999;
  }
  view.live = written(other, {v4});
  const Judgement judgement = judge({}, view);
  CHECK(judgement.condition == PodCondition::outdated);
  CHECK(judgement.why.find('\n') == std::string::npos);
}

TEST_CASE("a family that is missing as a whole is damage, not another configuration", "[judge]") {
  PodView view = pod_with({v4, v6});
  view.live = written(dual_stack(), {v4, v6});
  std::erase_if(view.live.rulesets, [](const Ruleset& r) { return r.family == Family::ipv6; });
  view.live.loopback_addresses.clear();
  const Judgement judgement = judge(dual_stack(), view);
  CHECK(judgement.condition == PodCondition::damaged);
  CHECK(writes(judgement, Family::ipv6));
}

TEST_CASE("a family is added only where the sidecar is known to listen", "[judge]") {
  SECTION("not IPv6 to a pod that is IPv4 first") {
    PodView view = pod_with({v4, v6});
    const Judgement missing = judge(always(), view);
    CHECK(missing.condition == PodCondition::missing);
    CHECK(writes(missing, Family::ipv4));
    CHECK_FALSE(writes(missing, Family::ipv6));
    CHECK(missing.wanted.loopback_addresses.empty());
    CHECK_THAT(missing.why, Contains("IPv6 is left as it is"));

    view.live = written({}, {v4});
    const Judgement there = judge(always(), view);
    CHECK(there.condition == PodCondition::intact);
    CHECK_THAT(there.why, Contains("IPv6 is left as it is"));
  }
  SECTION("not IPv4 to a pod that is IPv6 first") {
    const Judgement missing = judge({}, pod_with({v6, v4}));
    CHECK(writes(missing, Family::ipv6));
    CHECK_FALSE(writes(missing, Family::ipv4));
    CHECK_THAT(missing.why, Contains("IPv4 is left as it is"));
  }
  SECTION("in a mesh that is dual stack") {
    const Judgement missing = judge(dual_stack(), pod_with({v4, v6}));
    CHECK(writes(missing, Family::ipv6));
    CHECK(missing.why.find("left") == std::string::npos);
  }
  SECTION("where something of it is there") {
    PodView view = pod_with({v4, v6});
    view.live = written(always(), {v4, v6});
    drop_rules(view.live, Family::ipv6, "OUTPUT");
    const Judgement damaged = judge(always(), view);
    CHECK(damaged.condition == PodCondition::damaged);
    CHECK(writes(damaged, Family::ipv6));
  }
  SECTION("where connections are refused, nobody has to listen") {
    RedirectConfig block;
    block.ipv6 = Ipv6Policy::block;
    CHECK(writes(judge(block, pod_with({v4, v6})), Family::ipv6));
  }
  SECTION("what is left keeps its addresses and routes") {
    RedirectConfig config = always();
    config.mode = InterceptionMode::tproxy;
    PodView view = pod_with({v4, v6});
    view.live.loopback_addresses = {parse_cidr("::6/128")};
    view.live.tproxy_routes = {{.family = Family::ipv6, .mark = 1, .table = 2}};
    const Interception wanted = judge(config, view).wanted;
    CHECK(wanted.loopback_addresses == view.live.loopback_addresses);
    REQUIRE(wanted.tproxy_routes.size() == 2);
    CHECK(wanted.tproxy_routes.back() == view.live.tproxy_routes.front());
  }
}

TEST_CASE("IPv6 that is redirected stays so", "[judge]") {
  PodView view = pod_with({v4, v6});
  SECTION("where ADD saw the addresses in another order") {
    view.live = written({}, {v6, v4});
    const Judgement judgement = judge({}, view);
    INFO(judgement.why);
    CHECK(judgement.condition == PodCondition::intact);
  }
  SECTION("where another network has it") {
    view = pod_with({v4});
    view.links.push_back({.name = "net1", .up = true, .addresses = addresses_of({v6})});
    view.live = written(dual_stack(), {v4, v6});
    const Judgement judgement = judge({}, view);
    INFO(judgement.why);
    CHECK(judgement.condition == PodCondition::intact);
  }
  SECTION("also where it is damaged") {
    view.live = written({}, {v6, v4});
    drop_rules(view.live, Family::ipv6, "PREROUTING");
    const Judgement judgement = judge({}, view);
    CHECK(judgement.condition == PodCondition::damaged);
    CHECK(writes(judgement, Family::ipv6));
  }
}

TEST_CASE("what is shown of hostile rules is one short line", "[judge]") {
  PodView view = pod_with({v4});
  view.live = written({}, {v4});
  std::vector<Rule>& rules = nat_rules(view.live, Family::ipv4, "ISTIO_OUTPUT");
  rules.insert(rules.begin(), 5000,
               Rule{.target = Nflog{.prefix = "sluice: \n\x1b[31m" + std::string(50, '\xff')}});
  const Judgement judgement = judge({}, view);
  CHECK(judgement.condition == PodCondition::damaged);
  CHECK(judgement.why.size() < 512);
  for (const char c : judgement.why) CHECK(static_cast<unsigned char>(c) >= 0x20);
  CHECK_THAT(judgement.why, Contains("and 4999 more"));
}

}  // namespace sluice::agent
