// SPDX-License-Identifier: GPL-2.0-or-later
// Every match and target of the model by its name: what we write is listed by the vendor's programs
// as it stands here, what they write is read as it stands here, and what the kernel refuses in a
// place changes nothing.
#include <catch2/catch.hpp>
#include <cerrno>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "rules/error.h"
#include "rules/kernel/xt/table.h"
#include "rules/text.h"
#include "tests/kernel/test_netns.h"

namespace sluice::kernel {
namespace {

using xt::XtTable;

struct Spelled {
  Table table;
  std::string text;
  Rule rule;
};

Spelled match(const std::string& text, const Match& known) {
  return {Table::filter, text + " -j RETURN", {.matches = {known}}};
}

Spelled multiport(const std::string& text, const Multiport& known) {
  return {Table::filter,
          "-p tcp -m multiport " + text + " -j RETURN",
          {.protocol = Protocol::tcp, .matches = {known}}};
}

Spelled target(Table table, const std::string& text, const Target& known) {
  return {table, text, {.target = known}};
}

Spelled tproxy(const std::string& text, const Tproxy& known) {
  return {Table::mangle, "-p udp -j TPROXY " + text, {.protocol = Protocol::udp, .target = known}};
}

std::vector<Spelled> matches() {
  const std::vector<PortRange> fifteen(15, PortRange{1, 1});
  return {
      multiport("--dports 53", {.destinations = {{53, 53}}}),
      multiport("! --dports 53,15008",
                {.destinations = {{53, 53}, {15008, 15008}}, .negated = true}),
      multiport("--dports 80,0:1,65534:65535",
                {.destinations = {{80, 80}, {0, 1}, {65534, 65535}}}),
      multiport("--dports 1,1,1,1,1,1,1,1,1,1,1,1,1,1,1", {.destinations = fifteen}),
      match("-m mark --mark 0x539", Mark{.value = 0x539}),
      match("-m mark ! --mark 0x0/0xff", Mark{.value = 0, .mask = 0xff, .negated = true}),
      match("-m mark --mark 0x1ff/0x0", Mark{.value = 0x1ff, .mask = 0}),
      match("-m connmark --mark 0xffffffff", Connmark{.value = 0xffffffff}),
      match("-m connmark ! --mark 0x539/0xfff",
            Connmark{.value = 0x539, .mask = 0xfff, .negated = true}),
      match("-m conntrack --ctstate INVALID", Conntrack{.states = Conntrack::invalid}),
      match("-m conntrack --ctstate RELATED,ESTABLISHED",
            Conntrack{.states = Conntrack::related | Conntrack::established}),
      match("-m conntrack ! --ctstate NEW",
            Conntrack{.states = Conntrack::new_connection, .negated = true}),
      match(
          "-m conntrack --ctstate INVALID,NEW,RELATED,ESTABLISHED,UNTRACKED",
          Conntrack{.states = Conntrack::invalid | Conntrack::new_connection | Conntrack::related |
                              Conntrack::established | Conntrack::untracked}),
      match("-m conntrack --ctdir REPLY", Conntrack{.direction = Conntrack::Direction::reply}),
      match("-m conntrack --ctdir ORIGINAL",
            Conntrack{.direction = Conntrack::Direction::original}),
      match("-m conntrack ! --ctstate NEW --ctdir REPLY",
            Conntrack{.states = Conntrack::new_connection,
                      .negated = true,
                      .direction = Conntrack::Direction::reply}),
      match("-m limit --limit 10/sec", Limit{.period = 1000}),
      match("-m limit --limit 10/sec --limit-burst 20", Limit{.period = 1000, .burst = 20}),
      match("-m limit --limit 7/min --limit-burst 1", Limit{.period = 85'714, .burst = 1}),
      match("-m limit --limit 3/hour", Limit{.period = 12'000'000}),
      match("-m limit --limit 2/day --limit-burst 1", Limit{.period = 432'000'000, .burst = 1}),
  };
}

std::vector<Spelled> targets(Family family) {
  const bool ipv4 = family == Family::ipv4;
  const IpAddress loopback = parse_address(ipv4 ? "127.0.0.1" : "::1");
  const std::string none = ipv4 ? "0.0.0.0" : "::";
  return {
      target(Table::filter,
             ipv4 ? "-j REJECT --reject-with icmp-port-unreachable"
                  : "-j REJECT --reject-with icmp6-port-unreachable",
             RejectWithPortUnreachable{family}),
      target(Table::mangle, "-j MARK --set-xmark 0x539/0xffffffff", SetMark{.value = 0x539}),
      target(Table::mangle, "-j MARK --set-xmark 0x3/0xf", SetMark{.value = 3, .mask = 0xf}),
      target(Table::mangle, "-j CONNMARK --save-mark --nfmask 0xffffffff --ctmask 0xffffffff",
             SaveMark{}),
      target(Table::mangle, "-j CONNMARK --restore-mark --nfmask 0xffffffff --ctmask 0xffffffff",
             RestoreMark{}),
      tproxy("--on-port 15001 --on-ip " + none + " --tproxy-mark 0x539/0xffffffff",
             {.address = parse_address(none), .port = 15001, .mark = 0x539}),
      tproxy("--on-port 256 --on-ip " + to_string(loopback) + " --tproxy-mark 0x1/0xff",
             {.address = loopback, .port = 256, .mark = 1, .mask = 0xff}),
      target(Table::raw, "-j CT --zone 1", CtZone{1}),
      target(Table::raw, "-j CT --zone 65535", CtZone{65535}),
      target(Table::raw, "-j CT", CtZone{0}),
      target(Table::nat, "-j NFLOG --nflog-prefix two_words --nflog-group 1337",
             Nflog{.group = 1337, .prefix = "two_words"}),
      target(Table::raw, R"(-j NFLOG --nflog-prefix "a \"b\" \\ \' c" --nflog-group 1)",
             Nflog{.group = 1, .prefix = R"(a "b" \ ' c)"}),
      target(Table::mangle, "-j NFLOG", Nflog{}),
      target(Table::filter, "-j NFLOG --nflog-prefix " + std::string(63, 'x'),
             Nflog{.prefix = std::string(63, 'x')}),
  };
}

std::vector<Spelled> all_parts(Family family) {
  std::vector<Spelled> all = matches();
  for (Spelled& spelled : targets(family)) all.push_back(std::move(spelled));
  return all;
}

// Writes one rule into a chain of its own.
void write(const TestNetns& netns, Family family, Table table, const Rule& rule) {
  netns.inside([&] {
    const std::unique_ptr<XtTable> snapshot = XtTable::open(family, table);
    snapshot->create_chain("X");
    snapshot->append("X", rule);
    REQUIRE(snapshot->commit());
  });
}

// The only rule of chain X.
Rule read_rule(TestNetns& netns, Family family, Table table) {
  const Interception live = netns.backend().read();
  const TableRules* found = find_table(live.rulesets.at(family == Family::ipv4 ? 0 : 1), table);
  REQUIRE(found != nullptr);
  const Chain* chain = find_chain(*found, "X");
  REQUIRE(chain != nullptr);
  REQUIRE(chain->rules.size() == 1);
  return chain->rules.front();
}

std::string only_rules(const TestNetns& netns, Family family) {
  return filter_lines(netns.save(family), [](const std::string& line) { return line[0] == '-'; });
}

TEST_CASE("every match and target is listed by the vendor's program as we print it") {
  const Family family = GENERATE(Family::ipv4, Family::ipv6);
  for (const auto& [table, text, rule] : all_parts(family)) {
    INFO(to_string(family) << ' ' << to_string(table) << ": " << text);
    CHECK(to_string("X", rule) == "-A X " + text);
    TestNetns netns;
    write(netns, family, table, rule);
    CHECK(only_rules(netns, family) == "-A X " + text + "\n");
    CHECK(read_rule(netns, family, table) == rule);
  }
}

TEST_CASE("every match and target is read as it is from what the vendor's program wrote") {
  const Family family = GENERATE(Family::ipv4, Family::ipv6);
  for (const auto& [table, text, rule] : all_parts(family)) {
    INFO(to_string(family) << ' ' << to_string(table) << ": " << text);
    TestNetns netns;
    netns.restore(
        family, std::string("*") + to_string(table) + "\n:X - [0:0]\n-A X " + text + "\nCOMMIT\n");
    CHECK(read_rule(netns, family, table) == rule);
  }
}

TEST_CASE("other spellings of the vendor's program lead to the same rules") {
  const std::vector<Spelled> spelled{
      {Table::mangle, "-j MARK --set-mark 1337", {.target = SetMark{.value = 1337}}},
      {Table::mangle, "-j MARK --set-mark 0x6/0x3", {.target = SetMark{.value = 6, .mask = 7}}},
      {Table::mangle,
       "-j MARK --and-mark 0xff",
       {.target = SetMark{.value = 0, .mask = 0xffffff00}}},
      {Table::mangle, "-j MARK --or-mark 0x1", {.target = SetMark{.value = 1, .mask = 1}}},
      {Table::mangle, "-j CONNMARK --save-mark", {.target = SaveMark{}}},
      {Table::mangle, "-j CONNMARK --restore-mark --mask 0xffffffff", {.target = RestoreMark{}}},
      {Table::filter, "-m limit --limit 5/second -j RETURN", {.matches = {Limit{.period = 2000}}}},
      {Table::filter,
       "-p tcp -m multiport --destination-ports 80,443 -j RETURN",
       {.protocol = Protocol::tcp, .matches = {Multiport{.destinations = {{80, 80}, {443, 443}}}}}},
      {Table::raw, "-j CT --zone 0", {.target = CtZone{0}}},
      // What the vendor's program prints of the next three is not what it was given.
      {Table::filter, "-m limit --limit 7201/hour -j RETURN", {.matches = {Limit{.period = 4999}}}},
      {Table::filter,
       "-m limit --limit 3599/hour -j RETURN",
       {.matches = {Limit{.period = 10'002}}}},
      {Table::filter,
       "-m limit --limit 8640/day --limit-burst 1 -j RETURN",
       {.matches = {Limit{.period = 100'000, .burst = 1}}}},
  };
  const Family family = GENERATE(Family::ipv4, Family::ipv6);
  for (const auto& [table, text, rule] : spelled) {
    INFO(to_string(family) << ' ' << to_string(table) << ": " << text);
    TestNetns netns;
    netns.restore(
        family, std::string("*") + to_string(table) + "\n:X - [0:0]\n-A X " + text + "\nCOMMIT\n");
    CHECK(only_rules(netns, family) == to_string("X", rule) + "\n");
    CHECK(read_rule(netns, family, table) == rule);
  }
}

TEST_CASE("a rule may hold 64 owner matches") {
  const Family family = GENERATE(Family::ipv4, Family::ipv6);
  Rule rule{.target = Drop{}};
  for (std::uint32_t gid = 1; gid <= 64; ++gid) {
    rule.matches.emplace_back(Owner{.gid = OwnerRange{gid, gid, true}});
  }
  TestNetns netns;
  write(netns, family, Table::filter, rule);
  CHECK(read_rule(netns, family, Table::filter) == rule);
  CHECK(only_rules(netns, family) == to_string("X", rule) + "\n");
  CHECK(parse_save(netns.save(family), family) ==
        std::vector<Ruleset>{netns.backend().read().rulesets.at(family == Family::ipv4 ? 0 : 1)});
}

// ---- what is refused

struct Refused {
  std::string name;
  Table table;
  std::string chain;  // that jumps to the chain with the rule
  Rule rule;
  std::errc reason = std::errc::invalid_argument;
};

std::vector<Refused> refused(Family family) {
  const bool ipv4 = family == Family::ipv4;
  const Rule proxied{.protocol = Protocol::tcp,
                     .target = Tproxy{.address = {.family = family, .bytes = {}}, .port = 15001}};
  const Rule other_proxied{
      .protocol = Protocol::tcp,
      .target = Tproxy{.address = parse_address(ipv4 ? "::" : "0.0.0.0"), .port = 15001}};
  const Family other = ipv4 ? Family::ipv6 : Family::ipv4;
  const auto limit = [](Limit match) { return Rule{.matches = {match}}; };
  return {
      // By the kernel.
      {"CT in mangle", Table::mangle, "OUTPUT", {.target = CtZone{1}}},
      {"CT in nat", Table::nat, "OUTPUT", {.target = CtZone{1}}},
      {"CT in filter", Table::filter, "OUTPUT", {.target = CtZone{1}}},
      {"TPROXY in nat", Table::nat, "PREROUTING", proxied},
      {"TPROXY in OUTPUT", Table::mangle, "OUTPUT", proxied},
      {"TPROXY without a protocol", Table::mangle, "PREROUTING", {.target = proxied.target}},
      {"REJECT in mangle", Table::mangle, "INPUT", {.target = RejectWithPortUnreachable{family}}},
      {"multiport without a protocol",
       Table::nat,
       "OUTPUT",
       {.matches = {Multiport{.destinations = {{53, 53}}}}}},
      {"limit without a burst", Table::raw, "OUTPUT", limit({.period = 1000, .burst = 0}),
       std::errc::result_out_of_range},
      {"limit with too large a burst", Table::raw, "OUTPUT",
       limit({.period = 864'000'000, .burst = 5}), std::errc::result_out_of_range},
      // By us.
      {"an opaque match", Table::raw, "OUTPUT", {.matches = {Opaque{"-m set --match-set a src"}}}},
      {"an opaque target", Table::raw, "OUTPUT", {.target = Opaque{"-j TRACE"}}},
      {"TPROXY to the other family", Table::mangle, "PREROUTING", other_proxied},
      {"REJECT of the other family",
       Table::filter,
       "INPUT",
       {.target = RejectWithPortUnreachable{other}}},
      {"no port", Table::nat, "OUTPUT", {.protocol = Protocol::tcp, .matches = {Multiport{}}}},
      {"no connection state", Table::nat, "OUTPUT", {.matches = {Conntrack{}}}},
      {"two lines of a prefix", Table::nat, "OUTPUT", {.target = Nflog{.prefix = "a\nb"}}},
  };
}

// A rule in raw that is written first and has to be taken back, and the rule that is refused.
Interception with_refused(Family family, const Refused& refusal) {
  const Chain before{
      .name = "PREROUTING", .policy = Policy::accept, .rules = {{.target = Jump{"ISTIO_INBOUND"}}}};
  const Chain zone{.name = "ISTIO_INBOUND", .rules = {{.target = CtZone{2}}}};
  const Chain from{
      .name = refusal.chain, .policy = Policy::accept, .rules = {{.target = Jump{"ISTIO_OUTPUT"}}}};
  const Chain chain{.name = "ISTIO_OUTPUT", .rules = {refusal.rule}};
  Ruleset ruleset{.family = family, .tables = {{.table = Table::raw, .chains = {before, zone}}}};
  if (refusal.table == Table::raw) {
    ruleset.tables.front().chains.insert(ruleset.tables.front().chains.end(), {from, chain});
  } else {
    ruleset.tables.push_back({.table = refusal.table, .chains = {from, chain}});
  }
  return {.rulesets = {std::move(ruleset)}};
}

TEST_CASE("a match or target that cannot stand where it is wanted changes nothing") {
  const Family family = GENERATE(Family::ipv4, Family::ipv6);
  for (const Refused& refusal : refused(family)) {
    INFO(to_string(family) << ": " << refusal.name);
    TestNetns netns;
    // Creating a table is not undone.
    netns.must({vendor_tool(family), "-t", "raw", "-A", "OUTPUT", "-j", "CT", "--zone", "7"});
    netns.must({vendor_tool(family), "-t", to_string(refusal.table), "-A", "OUTPUT", "-m", "limit",
                "--limit", "3/min", "-j", "NFLOG", "--nflog-size", "64"});
    const std::string before = netns.state();
    try {
      netns.backend().apply(with_refused(family, refusal));
      FAIL_CHECK("it was taken");
    } catch (const Error& error) {
      INFO(error.what());
      CHECK(error.code() == refusal.reason);
      CHECK(std::string(error.what()).find('\n') == std::string::npos);
    }
    CHECK(difference(before, netns.state()) == nothing);
  }
}

}  // namespace
}  // namespace sluice::kernel
