// SPDX-License-Identifier: GPL-2.0-or-later
// Laws of recognition. A failure prints its seed: SLUICE_SEED=... repeats it.
#include <algorithm>
#include <array>
#include <catch2/catch.hpp>
#include <string>
#include <utility>
#include <vector>

#include "rules/diff.h"
#include "rules/error.h"
#include "rules/nft/translate.h"
#include "rules/ownership.h"
#include "rules/recognition.h"
#include "rules/text.h"
#include "tests/foreign_rules.h"
#include "tests/random_config.h"
#include "tests/unit/golden_live.h"

namespace sluice {
namespace {

constexpr int runs = 400;

// The exception that recognition.h names.
bool captures_one_family(const RedirectConfig& config, const PodNetwork& pod) {
  std::array<std::size_t, 2> wildcards{};
  std::array<std::size_t, 2> all{};
  for (const Cidr& cidr : config.include_outbound_cidrs.list) {
    const std::size_t family = cidr.address.family == Family::ipv4 ? 0 : 1;
    ++all.at(family);
    if (cidr.length == 0) ++wildcards.at(family);
  }
  return ipv6_action(config, pod) != FamilyAction::none && all[0] + all[1] == 1 &&
         wildcards[0] + wildcards[1] == 1;
}

PodNetwork random_pod(RandomConfig& random) {
  PodNetwork pod{.ipv6_on_loopback = !random.chance(20)};
  if (random.chance(70)) pod.addresses.push_back(parse_address("10.0.0.1"));
  if (random.chance(60)) pod.addresses.push_back(parse_address("2001:db8::1"));
  return pod;
}

std::string texts_of(const Interception& live) {
  return to_text(live.rulesets, to_save);
}

// What recognise() promises of what it gives, asked in another way than it asks itself.
void check_written(const RedirectConfig& config, const PodNetwork& pod, const Interception& live) {
  Interception wanted = interception(config, pod);
  const bool redirects_ipv6 = find_table_of(wanted, Family::ipv6, Table::nat) != nullptr;
  if (redirects_ipv6 && wanted.loopback_addresses.empty()) {
    wanted.loopback_addresses = live.loopback_addresses;
  }
  std::string differences;
  for (const Difference& found : diff(wanted, live)) differences += to_string(found) + "\n";
  INFO(differences);
  CHECK(differences.empty());
}

// Calls `check` with random configurations and pods.
template <class Check>
void for_configs(Check check) {
  const std::uint64_t seed = random_seed();
  RandomConfig random(seed);
  for (int run = 0; run < runs; ++run) {
    CAPTURE(seed, run);
    const RedirectConfig config = random.next();
    check(config, random_pod(random), random);
  }
}

// Whether it was.
bool check_recognised(const RedirectConfig& config, const PodNetwork& pod, RandomConfig& random) {
  Interception live = interception(config, pod);
  INFO(texts_of(live));
  const std::optional<RedirectConfig> found = recognise(live, pod);
  CHECK(found.has_value() == (is_accepted(config) && !captures_one_family(config, pod)));
  if (!found) return false;
  CHECK(interception(*found, pod) == live);
  for (Ruleset& ruleset : live.rulesets) ruleset = surrounded(std::move(ruleset), random);
  INFO("surrounded:\n" << texts_of(live));
  const std::optional<RedirectConfig> again = recognise(live, pod);
  CHECK(again);
  if (again) check_written(*again, pod, live);
  return true;
}

TEST_CASE("property: what any configuration writes is recognised", "[property][recognition]") {
  int recognised = 0;
  for_configs([&](const RedirectConfig& config, const PodNetwork& pod, RandomConfig& random) {
    recognised += check_recognised(config, pod, random) ? 1 : 0;
  });
  CHECK(recognised > runs * 9 / 10);
}

// Whether it was, where nf_tables gives the rules back.
bool check_recognised_in_canonical_form(const RedirectConfig& config, const PodNetwork& pod) {
  Interception live = interception(config, pod);
  live.rulesets = nft::from_nft(nft::to_nft(live.rulesets, "sluice"));
  INFO(texts_of(interception(config, pod)) << "canonical:\n" << texts_of(live));
  const std::optional<RedirectConfig> found = recognise(live, pod);
  CHECK(found.has_value() == (is_accepted(config) && !captures_one_family(config, pod)));
  if (found) check_written(*found, pod, live);
  return found.has_value();
}

TEST_CASE("property: so is its canonical form", "[property][recognition]") {
  int recognised = 0;
  for_configs([&](const RedirectConfig& config, const PodNetwork& pod, RandomConfig&) {
    recognised += check_recognised_in_canonical_form(config, pod) ? 1 : 0;
  });
  CHECK(recognised > runs * 9 / 10);
  for (const GoldenLive& golden : golden_lives()) {
    CAPTURE(golden.name);
    Interception live = golden.live;
    live.rulesets = nft::from_nft(nft::to_nft(live.rulesets, "sluice"));
    INFO(texts_of(live));
    CHECK(recognise(live));
  }
}

// Lists that meet each other, and the layouts' own ports.
RedirectConfig with_neighbours(RedirectConfig config, RandomConfig& random) {
  const std::uint16_t tunnel = config.inbound_tunnel_port;
  for (std::vector<PortRange>* ports :
       {&config.exclude_inbound_ports.emplace(), &config.exclude_outbound_ports.emplace()}) {
    for (const std::uint16_t port : {std::uint16_t{15021}, std::uint16_t{15022}, tunnel}) {
      if (random.chance(50)) ports->push_back({port, port});
    }
  }
  if (config.exclude_outbound_cidrs.empty() || random.chance(50)) {
    const char* text = random.chance(50)   ? "127.0.0.0/32"
                       : random.chance(50) ? "127.0.0.0/8"
                                           : "::/128";
    config.exclude_outbound_cidrs.push_back(parse_cidr(text));
  }
  if (config.dns_capture == DnsCapture::resolvers) {
    config.resolvers = {parse_address("10.0.0.3"), parse_address("fd00::1"),
                        parse_address("10.0.0.2"), parse_address("fd00::")};
  }
  if (!config.include_outbound_cidrs.all) {
    config.include_outbound_cidrs.list = {parse_cidr("11.0.0.0/8"), parse_cidr("10.0.0.0/8")};
    if (random.chance(50)) {
      for (const char* text : {"126.0.0.0/8", "127.0.0.0/8", "::1/128", "::/128"}) {
        config.include_outbound_cidrs.list.push_back(parse_cidr(text));
      }
    }
  }
  if (random.chance(30)) config.inbound_tunnel_port = random.chance(50) ? 52 : 54;
  return config;
}

TEST_CASE("property: so is one whose lists meet", "[property][recognition]") {
  int recognised = 0;
  for_configs([&](const RedirectConfig& config, const PodNetwork& pod, RandomConfig& random) {
    recognised += check_recognised_in_canonical_form(with_neighbours(config, random), pod) ? 1 : 0;
  });
  CHECK(recognised > runs * 8 / 10);
}

// ---- small changes

// A random chain that has rules.
std::vector<Rule>& random_rules(Interception& live, RandomConfig& random) {
  std::vector<std::vector<Rule>*> filled;
  for (Ruleset& ruleset : live.rulesets) {
    for (TableRules& table : ruleset.tables) {
      for (Chain& chain : table.chains) {
        if (!chain.rules.empty()) filled.push_back(&chain.rules);
      }
    }
  }
  return *filled.at(random.below(filled.size()));
}

// Swaps two neighbours that differ, if there are any.
void swap_neighbours(std::vector<Rule>& rules, RandomConfig& random) {
  const std::size_t start = random.below(rules.size());
  for (std::size_t i = start; i + 1 < rules.size(); ++i) {
    if (rules[i] == rules[i + 1]) continue;
    std::swap(rules[i], rules[i + 1]);
    return;
  }
}

void change_port(std::vector<Rule>& rules, RandomConfig& random) {
  for (Rule& rule : rules) {
    Redirect* redirect = std::get_if<Redirect>(&rule.target);
    if (redirect != nullptr) redirect->port = static_cast<std::uint16_t>(random.below(65536));
  }
}

void mutate(Interception& live, RandomConfig& random) {
  std::vector<Rule>& rules = random_rules(live, random);
  const auto at = rules.begin() + static_cast<std::ptrdiff_t>(random.below(rules.size()));
  switch (random.below(9)) {
    case 0:
    case 1:
      rules.erase(at);
      return;
    case 2:
      rules.insert(at, Rule(*at));
      return;
    case 3:
      return swap_neighbours(rules, random);
    case 4:
      rules.insert(rules.begin(), {.target = Accept{}});
      return;
    case 5:
      rules.insert(rules.begin(), Rule{});
      return;
    case 6:
      rules.clear();
      return;
    case 7:
      std::erase_if(rules, [](const Rule& rule) {
        return std::holds_alternative<Jump>(rule.target) && rule.matches.empty();
      });
      return;
    default:
      return change_port(rules, random);
  }
}

// Whether the change is one: foreign rules, too, would be none.
bool is_changed(const Interception& before, const Interception& after) {
  return !diff(before, after).empty();
}

struct Verdicts {
  int nobodys = 0;
  int others = 0;
};

void check_mutation(Interception live, const PodNetwork& pod, RandomConfig& random,
                    Verdicts& verdicts) {
  const Interception whole = live;
  mutate(live, random);
  if (!is_changed(whole, live)) return;
  INFO("mutated:\n" << texts_of(live));
  const std::optional<RedirectConfig> found = recognise(live, pod);
  if (found) check_written(*found, pod, live);
  ++(found ? verdicts.others : verdicts.nobodys);
}

TEST_CASE("property: what was changed is nobody's or exactly another's",
          "[property][recognition]") {
  Verdicts verdicts;
  for_configs([&](const RedirectConfig& config, const PodNetwork& pod, RandomConfig& random) {
    check_mutation(interception(config, pod), pod, random, verdicts);
  });
  const std::uint64_t seed = random_seed();
  RandomConfig random(seed);
  for (const GoldenLive& golden : golden_lives()) {
    for (int run = 0; run < 10; ++run) {
      CAPTURE(seed, golden.name, run);
      check_mutation(golden.live, {}, random, verdicts);
    }
  }
  // Else the law holds for want of cases.
  CHECK(verdicts.nobodys > runs);
  CHECK(verdicts.others > runs / 40);
}

// ---- rules that nobody in his right mind writes

std::uint32_t odd_number(RandomConfig& random) {
  return std::array{0U, 1U, 53U, 1337U, 1338U, 65535U, 4294967294U, 4294967295U}.at(
      random.below(8));
}

PortRange odd_ports(RandomConfig& random) {
  return {.first = static_cast<std::uint16_t>(odd_number(random)),
          .last = static_cast<std::uint16_t>(odd_number(random))};
}

std::optional<OwnerRange> odd_range(RandomConfig& random) {
  if (random.chance(40)) return std::nullopt;
  return OwnerRange{
      .first = odd_number(random), .last = odd_number(random), .negated = random.chance(30)};
}

std::optional<PortMatch> odd_port_match(RandomConfig& random) {
  if (random.chance(30)) return std::nullopt;
  return PortMatch{.ports = odd_ports(random), .negated = random.chance(30)};
}

Match odd_match(RandomConfig& random) {
  switch (random.below(7)) {
    case 0:
      return Tcp{.source = odd_port_match(random), .destination = odd_port_match(random)};
    case 1:
      return Udp{.source = odd_port_match(random), .destination = odd_port_match(random)};
    case 2:
      return Multiport{.destinations = {odd_ports(random)}, .negated = random.chance(50)};
    case 3:
      return Mark{.value = odd_number(random), .mask = odd_number(random)};
    case 4:
      return Opaque{std::string(random.below(300), '\n')};
    default:
      return Owner{.uid = odd_range(random), .gid = odd_range(random)};
  }
}

Target odd_target(RandomConfig& random) {
  switch (random.below(8)) {
    case 0:
      return Jump{std::array{"ISTIO_REDIRECT", "ISTIO_IN_REDIRECT", "ISTIO_OUTPUT_DNS",
                             "ISTIO_TPROXY", "ISTIO_VIRTUAL", "ISTIO_INBOUND", "", "NOWHERE"}
                      .at(random.below(8)),
                  random.chance(20)};
    case 1:
      return Redirect{static_cast<std::uint16_t>(odd_number(random))};
    case 2:
      return Tproxy{.port = static_cast<std::uint16_t>(odd_number(random)),
                    .mark = odd_number(random)};
    case 3:
      return Nflog{.group = 1, .prefix = "sluice: "};
    case 4:
      return Opaque{"?"};
    case 5:
      return CtZone{1};
    default:
      return Return{};
  }
}

std::optional<AddressMatch> odd_address(RandomConfig& random) {
  if (random.chance(50)) return std::nullopt;
  return AddressMatch{.cidr = parse_cidr(std::array{"127.0.0.6/32", "127.0.0.1/32", "0.0.0.0/0",
                                                    "::6/128", "::1/128", "10.0.0.0/8"}
                                             .at(random.below(6))),
                      .negated = random.chance(30)};
}

std::optional<Interface> odd_interface(RandomConfig& random) {
  if (random.chance(60)) return std::nullopt;
  return Interface{
      .name = std::array{"", "+", "lo", "a,b", " ", "an interface of more than 15 bytes"}.at(
          random.below(6)),
      .negated = random.chance(30)};
}

Rule odd_rule(RandomConfig& random) {
  Rule rule{.source = odd_address(random),
            .destination = odd_address(random),
            .in = odd_interface(random),
            .out = odd_interface(random),
            .target = odd_target(random)};
  if (random.chance(50)) rule.protocol = random.chance(70) ? Protocol::tcp : Protocol::icmp;
  for (std::size_t left = random.below(3); left > 0; --left) {
    rule.matches.push_back(odd_match(random));
  }
  return rule;
}

TEST_CASE("property: odd rules are no obstacle", "[property][recognition]") {
  int nobodys = 0;
  for_configs([&](const RedirectConfig& config, const PodNetwork& pod, RandomConfig& random) {
    Interception live = interception(config, pod);
    for (std::size_t left = 1 + random.below(4); left > 0; --left) {
      std::vector<Rule>& rules = random_rules(live, random);
      const auto at = rules.begin() + static_cast<std::ptrdiff_t>(random.below(rules.size() + 1));
      rules.insert(at, odd_rule(random));
    }
    std::optional<RedirectConfig> found;
    REQUIRE_NOTHROW(found = recognise(live, pod));
    if (found) check_written(*found, pod, live);
    if (!found) ++nobodys;
  });
  CHECK(nobodys > runs / 2);
}

}  // namespace
}  // namespace sluice
