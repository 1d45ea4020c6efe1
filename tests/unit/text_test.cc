// SPDX-License-Identifier: GPL-2.0-or-later
// The spelling of every part of a rule. Each text was fed to iptables-restore 1.8.9 (legacy) and
// came out of iptables-save as it stands here.
#include "rules/text.h"

#include <catch2/catch.hpp>
#include <string>
#include <utility>
#include <vector>

#include "rules/redirect.h"

namespace sluice {
namespace {

AddressMatch address(const char* cidr, bool negated = false) {
  return {.cidr = parse_cidr(cidr), .negated = negated};
}

PortMatch ports(std::uint16_t first, std::uint16_t last, bool negated = false) {
  return {.ports = {first, last}, .negated = negated};
}

using Spelled = std::vector<std::pair<Rule, std::string>>;

void check_spelling(const Spelled& cases) {
  for (const auto& [rule, text] : cases) {
    CAPTURE(text);
    CHECK(to_string("X", rule) == (text.empty() ? "-A X" : "-A X " + text));
  }
}

TEST_CASE("text: addresses and interfaces", "[text]") {
  check_spelling({
      {{}, "-j RETURN"},
      {{.source = address("10.0.0.0/8")}, "-s 10.0.0.0/8 -j RETURN"},
      {{.source = address("10.0.0.1/32", true)}, "! -s 10.0.0.1/32 -j RETURN"},
      {{.destination = address("127.0.0.1/32")}, "-d 127.0.0.1/32 -j RETURN"},
      {{.destination = address("::1/128", true)}, "! -d ::1/128 -j RETURN"},
      {{.in = Interface{.name = "eth0"}}, "-i eth0 -j RETURN"},
      {{.in = Interface{.name = "eth+", .negated = true}}, "! -i eth+ -j RETURN"},
      {{.out = Interface{.name = "lo"}}, "-o lo -j RETURN"},
      {{.out = Interface{.name = "lo", .negated = true}}, "! -o lo -j RETURN"},
      {{.source = address("10.0.0.0/8"),
        .destination = address("10.1.0.0/16", true),
        .in = Interface{.name = "eth0"},
        .out = Interface{.name = "eth1", .negated = true},
        .protocol = Protocol::tcp},
       "-s 10.0.0.0/8 ! -d 10.1.0.0/16 -i eth0 ! -o eth1 -p tcp -j RETURN"},
  });
}

TEST_CASE("text: protocols", "[text]") {
  check_spelling({
      {{.protocol = Protocol::tcp}, "-p tcp -j RETURN"},
      {{.protocol = Protocol::udp}, "-p udp -j RETURN"},
      {{.protocol = Protocol::icmp}, "-p icmp -j RETURN"},
      {{.protocol = Protocol::icmpv6}, "-p ipv6-icmp -j RETURN"},
  });
}

TEST_CASE("text: tcp and udp", "[text]") {
  const auto tcp = [](Tcp match) { return Rule{.protocol = Protocol::tcp, .matches = {match}}; };
  const auto udp = [](Udp match) { return Rule{.protocol = Protocol::udp, .matches = {match}}; };
  check_spelling({
      {tcp({}), "-p tcp -m tcp -j RETURN"},
      {tcp({.source = ports(80, 80)}), "-p tcp -m tcp --sport 80 -j RETURN"},
      {tcp({.destination = ports(80, 80, true)}), "-p tcp -m tcp ! --dport 80 -j RETURN"},
      {tcp({.source = ports(1, 1023, true), .destination = ports(0, 1)}),
       "-p tcp -m tcp ! --sport 1:1023 --dport 0:1 -j RETURN"},
      {udp({}), "-p udp -m udp -j RETURN"},
      {udp({.source = ports(53, 53)}), "-p udp -m udp --sport 53 -j RETURN"},
      {udp({.destination = ports(53, 54, true)}), "-p udp -m udp ! --dport 53:54 -j RETURN"},
      {udp({.source = ports(53, 53, true), .destination = ports(1, 65535)}),
       "-p udp -m udp ! --sport 53 --dport 1:65535 -j RETURN"},
  });
}

TEST_CASE("text: tcp flags", "[text]") {
  const auto flags = [](std::uint8_t mask, std::uint8_t compare, bool negated = false) {
    return Rule{.protocol = Protocol::tcp,
                .matches = {Tcp{.flags = TcpFlags{mask, compare, negated}}}};
  };
  check_spelling({
      {flags(0x17, 0x02), "-p tcp -m tcp --tcp-flags FIN,SYN,RST,ACK SYN -j RETURN"},
      {flags(0x17, 0x02, true), "-p tcp -m tcp ! --tcp-flags FIN,SYN,RST,ACK SYN -j RETURN"},
      {flags(0x3f, 0x3f),
       "-p tcp -m tcp --tcp-flags FIN,SYN,RST,PSH,ACK,URG FIN,SYN,RST,PSH,ACK,URG -j RETURN"},
      {flags(0x3f, 0), "-p tcp -m tcp --tcp-flags FIN,SYN,RST,PSH,ACK,URG NONE -j RETURN"},
      {flags(0x28, 0x08), "-p tcp -m tcp --tcp-flags PSH,URG PSH -j RETURN"},
      {{.protocol = Protocol::tcp,
        .matches = {Tcp{.destination = ports(80, 80), .flags = TcpFlags{0x04, 0x04}}}},
       "-p tcp -m tcp --dport 80 --tcp-flags RST RST -j RETURN"},
  });
}

TEST_CASE("text: owners", "[text]") {
  const auto owner = [](Owner match) { return Rule{.matches = {match}}; };
  check_spelling({
      {owner({.uid = OwnerRange{1337, 1337}}), "-m owner --uid-owner 1337 -j RETURN"},
      {owner({.uid = OwnerRange{0, 0, true}}), "-m owner ! --uid-owner 0 -j RETURN"},
      {owner({.uid = OwnerRange{1000, 2000}}), "-m owner --uid-owner 1000-2000 -j RETURN"},
      {owner({.gid = OwnerRange{4294967294, 4294967294}}),
       "-m owner --gid-owner 4294967294 -j RETURN"},
      {owner({.uid = OwnerRange{1, 2, true}, .gid = OwnerRange{3, 4, true}}),
       "-m owner ! --uid-owner 1-2 ! --gid-owner 3-4 -j RETURN"},
  });
}

TEST_CASE("text: targets", "[text]") {
  check_spelling({
      {{.target = Accept{}}, "-j ACCEPT"},
      {{.target = Drop{}}, "-j DROP"},
      {{.target = Return{}}, "-j RETURN"},
      {{.target = Jump{"ISTIO_OUTPUT"}}, "-j ISTIO_OUTPUT"},
      {{.protocol = Protocol::tcp, .target = Redirect{15001}},
       "-p tcp -j REDIRECT --to-ports 15001"},
      {{.protocol = Protocol::tcp, .target = RejectWithTcpReset{}},
       "-p tcp -j REJECT --reject-with tcp-reset"},
      {{.target = Opaque{"-j MASQUERADE --random"}}, "-j MASQUERADE --random"},
      {{.target = Jump{.chain = "FOO", .go_to = true}}, "-g FOO"},
      // A rule without a target only counts.
      {{.target = Opaque{}}, ""},
      {{.protocol = Protocol::udp, .target = Opaque{}}, "-p udp"},
  });
}

TEST_CASE("text: marks, connection tracking and ports in a list", "[text]") {
  const auto match = [](const Match& known) { return Rule{.matches = {known}}; };
  check_spelling({
      {{.protocol = Protocol::tcp,
        .matches = {Multiport{.destinations = {{53, 53}, {8000, 8100}}, .negated = true}}},
       "-p tcp -m multiport ! --dports 53,8000:8100 -j RETURN"},
      {match(Mark{.value = 0x539}), "-m mark --mark 0x539 -j RETURN"},
      {match(Mark{.value = 1, .mask = 0xff, .negated = true}),
       "-m mark ! --mark 0x1/0xff -j RETURN"},
      {match(Connmark{.value = 0, .mask = 0}), "-m connmark --mark 0x0/0x0 -j RETURN"},
      {match(Conntrack{.states = Conntrack::established | Conntrack::related}),
       "-m conntrack --ctstate RELATED,ESTABLISHED -j RETURN"},
      {match(Conntrack{.states = Conntrack::untracked, .negated = true}),
       "-m conntrack ! --ctstate UNTRACKED -j RETURN"},
  });
}

// The unit is libxt_limit's choice, and what it prints is not always what it was given.
TEST_CASE("text: limits", "[text]") {
  const auto limit = [](std::uint32_t period, std::uint32_t burst = 5) {
    return Rule{.matches = {Limit{.period = period, .burst = burst}}};
  };
  check_spelling({
      {limit(1), "-m limit --limit 10000/sec -j RETURN"},
      {limit(1000, 20), "-m limit --limit 10/sec --limit-burst 20 -j RETURN"},
      {limit(10'000), "-m limit --limit 1/sec -j RETURN"},
      {limit(10'001), "-m limit --limit 86391/day -j RETURN"},
      {limit(4999), "-m limit --limit 2/sec -j RETURN"},
      {limit(600'000, 1), "-m limit --limit 1/min --limit-burst 1 -j RETURN"},
      {limit(12'000'000), "-m limit --limit 3/hour -j RETURN"},
      {limit(864'000'000), "-m limit --limit 1/day -j RETURN"},
      {limit(864'000'001), "-m limit --limit 0/day -j RETURN"},
      {limit(0), "-m limit --limit inf -j RETURN"},
  });
}

TEST_CASE("text: targets of mangle, raw and for logging", "[text]") {
  const auto target = [](const Target& known) { return Rule{.target = known}; };
  const Tproxy tproxy{.address = parse_address("::"), .port = 15006, .mark = 0x539};
  check_spelling({
      {target(RejectWithPortUnreachable{Family::ipv4}),
       "-j REJECT --reject-with icmp-port-unreachable"},
      {target(RejectWithPortUnreachable{Family::ipv6}),
       "-j REJECT --reject-with icmp6-port-unreachable"},
      {target(SetMark{.value = 0x539}), "-j MARK --set-xmark 0x539/0xffffffff"},
      {target(SetMark{.value = 1, .mask = 0}), "-j MARK --set-xmark 0x1/0x0"},
      {target(SaveMark{}), "-j CONNMARK --save-mark --nfmask 0xffffffff --ctmask 0xffffffff"},
      {target(RestoreMark{}), "-j CONNMARK --restore-mark --nfmask 0xffffffff --ctmask 0xffffffff"},
      {target(tproxy), "-j TPROXY --on-port 15006 --on-ip :: --tproxy-mark 0x539/0xffffffff"},
      {target(CtZone{2}), "-j CT --zone 2"},
      {target(CtZone{}), "-j CT"},
      {target(Nflog{}), "-j NFLOG"},
      {target(Nflog{.group = 1, .prefix = "a-b_C9"}),
       "-j NFLOG --nflog-prefix a-b_C9 --nflog-group 1"},
      {target(Nflog{.group = 1, .prefix = R"(a."'\)"}),
       R"(-j NFLOG --nflog-prefix "a.\"\'\\" --nflog-group 1)"},
  });
}

TEST_CASE("text: matches stand in the order of the rule", "[text]") {
  check_spelling({
      {{.protocol = Protocol::tcp,
        .matches = {Opaque{"-m comment --comment \"a b\""}, Tcp{.destination = ports(80, 80)},
                    Owner{.uid = OwnerRange{1, 1}}},
        .target = Accept{}},
       "-p tcp -m comment --comment \"a b\" -m tcp --dport 80 -m owner --uid-owner 1 -j ACCEPT"},
  });
}

Ruleset sample(Family family) {
  return {.family = family,
          .tables = {{.table = Table::nat,
                      .chains = {{.name = "OUTPUT",
                                  .policy = Policy::accept,
                                  .rules = {{.target = Jump{"MINE"}}}},
                                 {.name = "MINE", .rules = {{.in = Interface{.name = "eth0"}}}},
                                 {.name = "INPUT", .policy = Policy::drop}}},
                     {.table = Table::filter}}};
}

TEST_CASE("text: the save form", "[text]") {
  CHECK(to_save(sample(Family::ipv4)) ==
        "*nat\n"
        ":OUTPUT ACCEPT [0:0]\n"
        ":MINE - [0:0]\n"
        ":INPUT DROP [0:0]\n"
        "-A OUTPUT -j MINE\n"
        "-A MINE -i eth0 -j RETURN\n"
        "COMMIT\n"
        "*filter\n"
        "COMMIT\n");
  CHECK(to_save({}).empty());
}

TEST_CASE("text: the restore form creates our chains and touches no policy", "[text]") {
  CHECK(to_restore(sample(Family::ipv4)) ==
        "*nat\n"
        "-N MINE\n"
        "-A OUTPUT -j MINE\n"
        "-A MINE -i eth0 -j RETURN\n"
        "COMMIT\n"
        "*filter\n"
        "COMMIT\n");
}

TEST_CASE("text: both families in one text", "[text]") {
  const std::string one = to_save(sample(Family::ipv4));
  CHECK(to_text({}, to_save).empty());
  CHECK(to_text({sample(Family::ipv4)}, to_save) == one);
  CHECK(to_text({sample(Family::ipv4), sample(Family::ipv6)}, to_save) ==
        one + "# ip6tables\n" + one);
  CHECK(to_text({sample(Family::ipv6)}, to_restore) ==
        "# ip6tables\n" + to_restore(sample(Family::ipv6)));
}

}  // namespace
}  // namespace sluice
