// SPDX-License-Identifier: GPL-2.0-or-later
// What is ours though no jump says so: mode TPROXY's rules in mangle, virtual interfaces in nat.
#include "rules/ownership_runs.h"

#include <catch2/catch.hpp>
#include <string>
#include <vector>

#include "rules/diff.h"
#include "rules/ownership.h"
#include "rules/parse.h"
#include "rules/redirect.h"
#include "rules/tproxy_mark.h"
#include "tests/unit/tables.h"

namespace sluice {
namespace {

using Texts = std::vector<std::string>;

const Texts mangle_chains{"ISTIO_DIVERT", "ISTIO_DROP", "ISTIO_INBOUND", "ISTIO_TPROXY"};
const std::string tproxy_rule =
    "-A ISTIO_TPROXY ! -d 127.0.0.1/32 -p tcp -j TPROXY --on-port 15006 --on-ip 0.0.0.0 "
    "--tproxy-mark 0x539/0xffffffff";
const std::string save_mark =
    "-A PREROUTING -p tcp -m mark --mark 0x539 -j CONNMARK --save-mark --nfmask 0xffffffff "
    "--ctmask 0xffffffff";
const std::string pass_marked = "-A OUTPUT -o lo -p tcp -m mark --mark 0x539 -j RETURN";
const std::string mark_self_call =
    "-A OUTPUT ! -d 127.0.0.1/32 -o lo -p tcp -m owner --uid-owner 1337 -j MARK --set-xmark "
    "0x53a/0xffffffff";
const std::string restore_mark =
    "-A OUTPUT -p tcp -m connmark --mark 0x539 -j CONNMARK --restore-mark --nfmask 0xffffffff "
    "--ctmask 0xffffffff";

Positions owned_in(const TableRules& table, const std::string& chain,
                   const TableRules* wanted = nullptr) {
  for (const OwnedRules& found : owned_rules(table, nullptr, wanted)) {
    if (found.chain == chain) return found.positions;
  }
  return {};
}

TableRules mangle_with(const Texts& rules) {
  return table_with(rules, mangle_chains, Table::mangle);
}

TEST_CASE("ownership: the mark of mode TPROXY is read from our own chains", "[ownership]") {
  CHECK(tproxy_mark(mangle_with({tproxy_rule})) == 0x539U);
  // Without inbound ports Istio writes no TPROXY, but what lets the mark pass.
  CHECK(tproxy_mark(
            mangle_with({"-A ISTIO_INBOUND -p tcp -m mark --mark 0x7 -j RETURN",
                         "-A ISTIO_INBOUND -i lo -p tcp -m mark ! --mark 0x53a -j RETURN"})) == 7U);
  CHECK(tproxy_mark(mangle_with({})) == std::nullopt);
  for (const char* other : {"-A ISTIO_INBOUND -i lo -p tcp -m mark --mark 0x7 -j RETURN",
                            "-A ISTIO_INBOUND -p tcp -m mark --mark 0x7/0xff -j RETURN",
                            "-A ISTIO_INBOUND -p tcp -m mark ! --mark 0x7 -j RETURN",
                            "-A ISTIO_INBOUND -p tcp -m mark --mark 0x7 -j ISTIO_TPROXY",
                            "-A PREROUTING -p tcp -m mark --mark 0x7 -j RETURN"}) {
    CAPTURE(other);
    CHECK(tproxy_mark(mangle_with({other})) == std::nullopt);
  }
}

TEST_CASE("ownership: the rules around the mark are ours", "[ownership]") {
  const TableRules table = mangle_with(
      {"-A PREROUTING -i eth9 -j DROP", "-A PREROUTING -i eth1 -j RETURN",
       "-A PREROUTING -p tcp -j ISTIO_INBOUND", save_mark, "-A PREROUTING -p udp -j ACCEPT",
       "-A OUTPUT -o eth9 -j DROP", "-A OUTPUT -o eth1 -j RETURN", pass_marked, mark_self_call,
       restore_mark, "-A OUTPUT -p udp -j ACCEPT", tproxy_rule});
  CHECK(owned_in(table, "PREROUTING") == Positions{1, 2, 3});
  CHECK(owned_in(table, "OUTPUT") == Positions{1, 2, 3, 4});
}

TEST_CASE("ownership: rules of others may stand within the run", "[ownership]") {
  const TableRules table = mangle_with({pass_marked, "-A OUTPUT -p udp -j ACCEPT", mark_self_call,
                                        "-A OUTPUT -o lo -p tcp -m mark --mark 0x1 -j RETURN",
                                        restore_mark, save_mark, tproxy_rule});
  CHECK(owned_in(table, "OUTPUT") == Positions{0, 2, 4});
}

TEST_CASE("ownership: the same rules for another mark, or half of them, are others'",
          "[ownership]") {
  const TableRules other_mark = mangle_with({pass_marked, mark_self_call, restore_mark, save_mark});
  CHECK(owned_rules(other_mark).empty());
  CHECK(owned_in(mangle_with({pass_marked, mark_self_call, tproxy_rule}), "OUTPUT").empty());
  CHECK(owned_in(mangle_with({mark_self_call, restore_mark, tproxy_rule}), "OUTPUT").empty());
}

TEST_CASE("ownership: only the first run is ours", "[ownership]") {
  const TableRules table = mangle_with(
      {pass_marked, restore_mark, pass_marked, restore_mark, save_mark, save_mark, tproxy_rule});
  CHECK(owned_in(table, "OUTPUT") == Positions{0, 1});
  CHECK(owned_in(table, "PREROUTING") == Positions{0});
}

const Texts nat_chains{"ISTIO_INBOUND", "ISTIO_OUTPUT", "ISTIO_REDIRECT"};

TEST_CASE("ownership: what virtual interfaces' jumps leave is let pass by us", "[ownership]") {
  const TableRules table = table_with(
      {"-A PREROUTING -i vif1 -j RETURN", "-A PREROUTING -d 10.0.0.0/8 -i vif1 -j ISTIO_REDIRECT",
       "-A PREROUTING -d 10.0.0.0/8 -i vif0 -j ISTIO_REDIRECT", "-A PREROUTING -i vif1 -j RETURN",
       "-A PREROUTING -i vif0 -j RETURN", "-A PREROUTING -i eth9 -j RETURN",
       "-A PREROUTING -i eth1 -j RETURN", "-A PREROUTING -p tcp -j ISTIO_INBOUND",
       "-A OUTPUT -o eth1 -j RETURN", "-A OUTPUT -j ISTIO_OUTPUT",
       "-A ISTIO_OUTPUT -d 10.0.0.0/8 -j ISTIO_REDIRECT"},
      nat_chains);
  CHECK(owned_in(table, "PREROUTING") == Positions{1, 2, 3, 4, 6, 7});
  CHECK(owned_in(table, "OUTPUT") == Positions{0, 1});
}

// Istio's text for this case has no mark at all. Who wants just these rules knows them; for
// everybody else one of them that stayed would let the interface past whatever is written behind
// it.
TEST_CASE("ownership: virtual interfaces without a jump are told by their place", "[ownership]") {
  RedirectConfig config;
  config.virtual_interfaces = {"vif0", "vif1"};
  config.exclude_interfaces = {"eth1"};
  config.include_outbound_cidrs = parse_cidr_selection("");
  for (const bool inbound : {true, false}) {
    CAPTURE(inbound);
    if (!inbound) config.include_inbound_ports = parse_port_selection("");
    const Ruleset wanted = redirect_ruleset(config, Family::ipv4);
    const TableRules& nat = wanted.tables.front();
    CHECK(owns_exactly(nat, nat));
    CHECK(diff(Interception{.rulesets = {wanted}}, Interception{.rulesets = {wanted}}).empty());
    const Positions all = inbound ? Positions{0, 1, 2, 3} : Positions{0, 1, 2};
    CHECK(owned_in(nat, "PREROUTING") == all);
    TableRules with_foreign = nat;
    Chain& prerouting = *find_chain(with_foreign, "PREROUTING");
    prerouting.rules.insert(prerouting.rules.begin(), prerouting.rules.front());
    CHECK(owns_exactly(with_foreign, nat));
    // Another configuration takes what may be ours...
    const TableRules other = redirect_ruleset({}, Family::ipv4).tables.front();
    CHECK(owned_in(with_foreign, "PREROUTING", &other).size() == all.size() + 1);
    // ...but the same one without virtual interfaces does not, for the sake of others' rules.
    RedirectConfig without = config;
    without.virtual_interfaces = {};
    const TableRules same = redirect_ruleset(without, Family::ipv4).tables.front();
    CHECK(owned_in(with_foreign, "PREROUTING", &same).size() == all.size() - 2);
    prerouting.rules.erase(prerouting.rules.begin() + 1, prerouting.rules.begin() + 3);
    CHECK_FALSE(owns_exactly(with_foreign, nat));
  }
}

// Where only PREROUTING has such a rule it stays its owner's, though it is the one we want too.
TEST_CASE("ownership: a wish does not make another's rule ours", "[ownership]") {
  RedirectConfig config;
  config.exclude_interfaces = {"eth1"};
  const TableRules wanted = redirect_ruleset(config, Family::ipv4).tables.front();
  const TableRules live = table_with({"-A PREROUTING -i eth1 -j RETURN"});
  CHECK(owned_rules(live, nullptr, &wanted).empty());
}

TEST_CASE("ownership: reports are told by how their text begins", "[ownership]") {
  const TableRules table = table_with(
      {"-A OUTPUT -j NFLOG --nflog-prefix \"sluice: outbound passed\" --nflog-group 1337",
       "-A OUTPUT -j NFLOG --nflog-prefix \"sluice\"", "-A OUTPUT -j NFLOG",
       "-A INPUT -p tcp -j NFLOG --nflog-prefix \"sluice: x\""});
  CHECK(owned_in(table, "OUTPUT") == Positions{0});
  CHECK(owned_in(table, "INPUT") == Positions{0});
}

}  // namespace
}  // namespace sluice
