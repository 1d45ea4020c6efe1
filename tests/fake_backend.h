// SPDX-License-Identifier: GPL-2.0-or-later
// A pod's network namespace in memory. It behaves as backend.h says: foreign rules stay, ours are
// replaced, and a call that fails has changed nothing.
#pragma once

#include <algorithm>
#include <cerrno>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "rules/backend.h"
#include "rules/error.h"
#include "rules/ownership.h"

namespace sluice {

// Notes every call into the namespace, and lets the n-th one fail.
class CallLog {
 public:
  // The n-th call from now on, counted from 1, throws.
  void fail(std::size_t n, Error error) { failures_.emplace(names_.size() + n, std::move(error)); }

  void enter(const char* name) {
    names_.emplace_back(name);
    const auto failure = failures_.find(names_.size());
    if (failure != failures_.end()) throw Error(failure->second);
  }

  const std::vector<std::string>& names() const { return names_; }
  bool has(const std::string& name) const {
    return std::find(names_.begin(), names_.end(), name) != names_.end();
  }

 private:
  std::vector<std::string> names_;
  std::map<std::size_t, Error> failures_;
};

class FakeBackend : public Backend {
 public:
  explicit FakeBackend(CallLog& calls) : calls_(calls) {}

  // What is in the namespace, foreign rules and addresses included; routes are all ours.
  Interception live;
  // A kernel without ip6tables, and lo without IPv6.
  bool has_ipv6_tables = true;
  bool loopback_has_ipv6 = true;
  // Reported by the next apply() or remove().
  Notices notices;

  const char* name() const override { return "fake"; }
  std::string reason() const override { return "it is made up"; }

  Notices apply(const Interception& wanted) override {
    calls_.enter("apply");
    Interception next = live;
    Notices said = std::exchange(notices, {});
    for (const Family family : {Family::ipv4, Family::ipv6}) {
      const Ruleset asked = ruleset_of(wanted, family);
      if (family == Family::ipv6 && !has_ipv6_tables && !asked.tables.empty()) {
        if (wanted.ipv6_required) throw Error(ENOTSUP, "open IPv6 table nat");
        said.emplace_back("IPv6 is left out");
        continue;
      }
      replace(next, asked);
    }
    replace_addresses(next, wanted, said);
    replace_routes(next, wanted, said);
    live = std::move(next);
    return said;
  }

  Notices remove() override {
    calls_.enter("remove");
    Interception next = live;
    for (const Family family : {Family::ipv4, Family::ipv6}) replace(next, {.family = family});
    std::erase_if(next.loopback_addresses, is_ours);
    next.tproxy_routes.clear();
    live = std::move(next);
    return std::exchange(notices, {});
  }

  Interception read() override {
    calls_.enter("read");
    Interception found = live;
    std::erase_if(found.loopback_addresses, [](const Cidr& cidr) { return !is_ours(cidr); });
    return found;
  }

 private:
  static bool is_ours(const Cidr& cidr) { return is_owned_address(cidr.address); }

  static Ruleset ruleset_of(const Interception& all, Family family) {
    for (const Ruleset& ruleset : all.rulesets) {
      if (ruleset.family == family) return ruleset;
    }
    return {.family = family};
  }

  static void erase_owned(TableRules& table) {
    for (const OwnedRules& found : owned_rules(table)) {
      std::vector<Rule>& rules = find_chain(table, found.chain)->rules;
      for (auto i = found.positions.rbegin(); i != found.positions.rend(); ++i) {
        rules.erase(rules.begin() + static_cast<std::ptrdiff_t>(*i));
      }
    }
    std::erase_if(table.chains, [](const Chain& chain) { return is_owned_chain(chain.name); });
  }

  static void append(TableRules& table, const TableRules& wanted) {
    for (const Chain& chain : wanted.chains) {
      Chain* there = find_chain(table, chain.name);
      if (there == nullptr) {
        table.chains.push_back(chain);
        continue;
      }
      there->rules.insert(there->rules.end(), chain.rules.begin(), chain.rules.end());
    }
  }

  static TableRules new_table(Table table) {
    TableRules made{.table = table};
    for (const std::string& name : builtin_chains(table)) {
      made.chains.push_back({.name = name, .policy = Policy::accept});
    }
    return made;
  }

  // Makes what is ours in one family equal `asked`.
  static void replace(Interception& all, const Ruleset& asked) {
    auto found = std::find_if(all.rulesets.begin(), all.rulesets.end(),
                              [&](const Ruleset& r) { return r.family == asked.family; });
    if (found == all.rulesets.end()) {
      if (asked.tables.empty()) return;
      found = all.rulesets.insert(all.rulesets.end(), {.family = asked.family});
    }
    for (const TableRules& wanted : asked.tables) {
      if (find_table(*found, wanted.table) == nullptr) {
        found->tables.push_back(new_table(wanted.table));
      }
    }
    for (TableRules& table : found->tables) {
      erase_owned(table);
      if (const TableRules* wanted = find_table(asked, table.table)) append(table, *wanted);
    }
  }

  void replace_addresses(Interception& all, const Interception& wanted, Notices& said) const {
    std::erase_if(all.loopback_addresses, is_ours);
    for (const Cidr& cidr : wanted.loopback_addresses) {
      if (loopback_has_ipv6) {
        all.loopback_addresses.push_back(cidr);
      } else {
        said.push_back("address " + to_string(cidr) + " is not added to lo");
      }
    }
  }

  void replace_routes(Interception& all, const Interception& wanted, Notices& said) const {
    all.tproxy_routes.clear();
    for (const TproxyRoute& route : wanted.tproxy_routes) {
      if (route.family == Family::ipv4 || loopback_has_ipv6) {
        all.tproxy_routes.push_back(route);
      } else if (wanted.ipv6_required) {
        throw Error(ENOTSUP, "add IPv6 route");
      } else {
        said.emplace_back("IPv6 is left out");
      }
    }
  }

  CallLog& calls_;
};

// What stays when the namespace is closed and opened again. An interface eth0 with an IPv4 address
// to begin with.
struct FakePod {
  CallLog calls;
  FakeBackend backend{calls};
  bool own = false;
  // With which the backend was asked for, each time.
  std::vector<BackendSettings> settings = {};
  // A kernel that has no backend.
  std::optional<Error> no_backend = std::nullopt;
  std::vector<Link> links{
      {.name = "lo", .up = true, .loopback = true, .addresses = {parse_address("127.0.0.1")}},
      {.name = "eth0", .up = true, .addresses = {parse_address("10.244.0.5")}}};
};

class FakeNamespace : public PodNamespace {
 public:
  explicit FakeNamespace(FakePod& pod) : pod_(pod) {}

  bool is_own() override {
    pod_.calls.enter("is_own");
    return pod_.own;
  }
  std::vector<Link> links() override {
    pod_.calls.enter("links");
    return pod_.links;
  }
  std::optional<Link> link(const std::string& name) override {
    pod_.calls.enter("link");
    for (const Link& link : pod_.links) {
      if (link.name == name) return link;
    }
    return std::nullopt;
  }
  bool loopback_has_ipv6() override {
    pod_.calls.enter("loopback_has_ipv6");
    return pod_.backend.loopback_has_ipv6;
  }
  Backend& backend(const BackendSettings& settings) override {
    pod_.settings.push_back(settings);
    if (pod_.no_backend) throw Error(*pod_.no_backend);
    return pod_.backend;
  }

 private:
  FakePod& pod_;
};

}  // namespace sluice
