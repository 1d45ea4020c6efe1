// SPDX-License-Identifier: GPL-2.0-or-later
#include "rules/ownership.h"

#include <algorithm>
#include <array>
#include <optional>
#include <string_view>
#include <utility>

namespace sluice {
namespace {

using Positions = std::vector<std::size_t>;

bool is_owned_jump(const Rule& rule) {
  const Jump* jump = std::get_if<Jump>(&rule.target);
  return jump != nullptr && is_owned_chain(jump->chain);
}

// The interface of a rule that is nothing but `-i IF -j RETURN` (or -o), else nothing.
std::optional<std::string> returned_interface(const Rule& rule) {
  const std::optional<Interface>& interface = rule.in ? rule.in : rule.out;
  if (!interface || interface->negated) return std::nullopt;
  Rule shape{.target = Return{}};
  (rule.in ? shape.in : shape.out) = interface;
  if (rule != shape) return std::nullopt;
  return interface->name;
}

// Interfaces of consecutive rules before a position of a chain, the last one first; an empty name
// stands for a rule of another shape.
using Interfaces = std::vector<std::string>;

std::string interface_at(const Chain& chain, std::size_t position) {
  return returned_interface(chain.rules[position]).value_or(std::string());
}

// Of all rules before `end`.
Interfaces interfaces_before(const Chain& chain, std::size_t end) {
  Interfaces names;
  for (std::size_t i = end; i > 0; --i) names.push_back(interface_at(chain, i - 1));
  return names;
}

// Of those up to the first rule of another shape.
Interfaces run_before(const Chain& chain, std::size_t end) {
  Interfaces names;
  for (std::size_t i = end; i > 0; --i) {
    std::string name = interface_at(chain, i - 1);
    if (name.empty()) break;
    names.push_back(std::move(name));
  }
  return names;
}

std::size_t common_prefix(const Interfaces& a, const Interfaces& b) {
  const auto [end, other] = std::mismatch(a.begin(), a.end(), b.begin(), b.end());
  return static_cast<std::size_t>(end - a.begin());
}

// Where a run of ours may end.
struct Anchor {
  std::size_t jump = 0;
  Interfaces run;            // before the jump
  std::size_t agreeing = 0;  // how many of it stand in the pattern too
};

// Of the rules that jump to us the one before which most of `pattern` stands, the first one of
// several; without a pattern the one with the longest run. Nothing if no rule jumps to us. Others
// may jump to our chains too, but they do not write our run before it.
std::optional<Anchor> find_anchor(const Chain& chain, const Interfaces* pattern) {
  std::optional<Anchor> best;
  for (std::size_t i = 0; i < chain.rules.size(); ++i) {
    if (!is_owned_jump(chain.rules[i])) continue;
    Anchor anchor{.jump = i, .run = run_before(chain, i)};
    anchor.agreeing = pattern == nullptr ? anchor.run.size() : common_prefix(anchor.run, *pattern);
    if (!best || anchor.agreeing > best->agreeing) best = std::move(anchor);
  }
  return best;
}

// Where in `text` the longest prefix of `pattern` begins, the first one of several, and how long
// it is. The Z algorithm: linear, because a tenant may have filled these chains.
std::pair<std::size_t, std::size_t> longest_prefix(const Interfaces& pattern,
                                                   const Interfaces& text) {
  Interfaces all = pattern;
  all.emplace_back();  // no interface has an empty name: matches end here
  all.insert(all.end(), text.begin(), text.end());
  std::vector<std::size_t> z(all.size(), 0);
  std::pair<std::size_t, std::size_t> best{0, 0};
  std::size_t left = 0;
  std::size_t right = 0;
  for (std::size_t i = 1; i < all.size(); ++i) {
    if (i < right) z[i] = std::min(right - i, z[i - left]);
    while (i + z[i] < all.size() && !all[z[i]].empty() && all[z[i]] == all[i + z[i]]) ++z[i];
    if (i + z[i] > right) {
      left = i;
      right = i + z[i];
    }
    if (i > pattern.size() && z[i] > best.second) best = {i - pattern.size() - 1, z[i]};
  }
  return best;
}

void add_range(Positions& positions, std::size_t end, std::size_t length) {
  for (std::size_t i = end - length; i < end; ++i) positions.push_back(i);
}

// The interfaces that were excluded, the last one first; nothing if that cannot be told.
std::optional<Interfaces> written_interfaces(const TableRules* written) {
  const Chain* out = written == nullptr ? nullptr : find_chain(*written, "OUTPUT");
  if (out == nullptr) return std::nullopt;
  std::optional<Anchor> anchor = find_anchor(*out, nullptr);
  if (!anchor) return std::nullopt;
  return std::move(anchor->run);
}

// Adds the interface RETURN rules to what is ours in PREROUTING and OUTPUT.
void add_interface_returns(const TableRules& table, const TableRules* written,
                           Positions& prerouting, Positions& output) {
  const Chain* in = find_chain(table, "PREROUTING");
  const Chain* out = find_chain(table, "OUTPUT");
  if (in == nullptr || out == nullptr) return;
  const std::optional<Anchor> out_anchor = find_anchor(*out, nullptr);
  if (!out_anchor) return;
  const Interfaces& out_run = out_anchor->run;
  std::size_t in_end = in->rules.size();
  std::size_t length = 0;
  if (const std::optional<Anchor> in_anchor = find_anchor(*in, &out_run)) {
    in_end = in_anchor->jump;
    length = in_anchor->agreeing;
  } else {
    // Nothing inbound is captured, so no jump marks our run: the layouts append, so the last one
    // that agrees with OUTPUT's is ours.
    const auto [begin, agreeing] = longest_prefix(out_run, interfaces_before(*in, in_end));
    in_end -= begin;
    length = agreeing;
  }
  if (const std::optional<Interfaces> known = written_interfaces(written)) {
    const std::size_t agreeing = std::min(common_prefix(out_run, *known), length);
    if (agreeing == known->size()) length = agreeing;
  }
  add_range(prerouting, in_end, length);
  add_range(output, out_anchor->jump, length);
}

}  // namespace

bool is_owned_chain(const std::string& name) {
  constexpr std::array<std::string_view, 9> names{
      "ISTIO_INBOUND", "ISTIO_IN_REDIRECT", "ISTIO_OUTPUT", "ISTIO_REDIRECT", "ISTIO_OUTPUT_DNS",
      "ISTIO_DIVERT",  "ISTIO_TPROXY",      "ISTIO_DROP",   "ISTIO_REJECT"};
  return std::find(names.begin(), names.end(), name) != names.end();
}

bool is_owned_address(const IpAddress& address) {
  static const IpAddress passthrough = parse_address("::6");
  return address == passthrough;
}

std::vector<OwnedRules> owned_rules(const TableRules& table, const TableRules* written) {
  Positions prerouting;
  Positions output;
  if (table.table == Table::nat) {
    add_interface_returns(table, written, prerouting, output);
  }
  std::vector<OwnedRules> all;
  for (const Chain& chain : table.chains) {
    if (is_owned_chain(chain.name)) continue;
    OwnedRules ours{.chain = chain.name, .positions = {}};
    if (chain.name == "PREROUTING") ours.positions = prerouting;
    if (chain.name == "OUTPUT") ours.positions = output;
    for (std::size_t i = 0; i < chain.rules.size(); ++i) {
      if (is_owned_jump(chain.rules[i])) ours.positions.push_back(i);
    }
    std::sort(ours.positions.begin(), ours.positions.end());
    if (!ours.positions.empty()) all.push_back(std::move(ours));
  }
  return all;
}

Ruleset owned(const Ruleset& live, const Ruleset* written) {
  Ruleset ours{.family = live.family};
  for (const TableRules& table : live.tables) {
    const std::vector<OwnedRules> in_other_chains =
        owned_rules(table, written == nullptr ? nullptr : find_table(*written, table.table));
    auto found = in_other_chains.begin();
    TableRules part{.table = table.table};
    for (const Chain& chain : table.chains) {
      if (is_owned_chain(chain.name)) part.chains.push_back(chain);
      if (found == in_other_chains.end() || found->chain != chain.name) continue;
      Chain reduced{.name = chain.name, .policy = chain.policy};
      for (const std::size_t i : found->positions) reduced.rules.push_back(chain.rules[i]);
      part.chains.push_back(std::move(reduced));
      ++found;
    }
    if (!part.chains.empty()) ours.tables.push_back(std::move(part));
  }
  return ours;
}

}  // namespace sluice
