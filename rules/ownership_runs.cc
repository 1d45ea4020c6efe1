// SPDX-License-Identifier: GPL-2.0-or-later
#include "rules/ownership_runs.h"

#include <algorithm>
#include <set>
#include <string>
#include <utility>

#include "rules/chains.h"

namespace sluice {
namespace {

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
  std::size_t position = 0;
  Interfaces run;            // before it
  std::size_t agreeing = 0;  // how many of it stand in the pattern too
};

// Of the anchors the one before which most of `pattern` stands, the first one of several; without a
// pattern the one with the longest run. Nothing if there is none. Others may jump to our chains
// too, but they do not write our run before it.
std::optional<Anchor> find_anchor(const AnchoredChain& in, const Interfaces* pattern) {
  std::optional<Anchor> best;
  for (const std::size_t i : in.anchors) {
    Anchor anchor{.position = i, .run = run_before(in.chain, i)};
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

// The interfaces that a chain with nothing but rules of ours lets pass, the last one first.
Interfaces leading_interfaces(const Chain& chain) {
  std::size_t end = 0;
  while (end < chain.rules.size() && returned_interface(chain.rules[end])) ++end;
  return run_before(chain, end);
}

// The interfaces that were excluded; nothing if that cannot be told.
std::optional<Interfaces> written_interfaces(const TableRules* written) {
  const Chain* out = written == nullptr ? nullptr : find_chain(*written, "OUTPUT");
  if (out == nullptr || out->rules.empty()) return std::nullopt;
  return leading_interfaces(*out);
}

// Those that PREROUTING lets pass in `wanted` where it lets more of them pass than OUTPUT: virtual
// interfaces without a jump.
Interfaces wanted_interfaces(const TableRules* wanted) {
  const Chain* in = wanted == nullptr ? nullptr : find_chain(*wanted, "PREROUTING");
  const Chain* out = wanted == nullptr ? nullptr : find_chain(*wanted, "OUTPUT");
  if (in == nullptr || out == nullptr) return {};
  Interfaces names = leading_interfaces(*in);
  return names.size() > leading_interfaces(*out).size() ? names : Interfaces{};
}

// Where our run in a chain ends and how long it is.
struct InterfaceRun {
  std::size_t end = 0;
  std::size_t length = 0;
};

// The run that agrees with `pattern`. Without an anchor no rule of ours marks the place: the
// layouts append, so the last one that agrees is ours.
InterfaceRun matching_run(const AnchoredChain& in, const Interfaces& pattern) {
  if (const std::optional<Anchor> anchor = find_anchor(in, &pattern)) {
    return {.end = anchor->position, .length = anchor->agreeing};
  }
  const std::size_t size = in.chain.rules.size();
  const auto [begin, agreeing] = longest_prefix(pattern, interfaces_before(in.chain, size));
  return {.end = size - begin, .length = agreeing};
}

// Behind the last jump of a virtual interface Istio lets what is left of these interfaces pass.
void add_virtual_returns(const Chain& prerouting, Positions& positions) {
  std::set<std::string> names;
  std::size_t end = 0;
  for (std::size_t i = 0; i < prerouting.rules.size(); ++i) {
    if (!is_virtual_jump(prerouting.rules[i])) continue;
    names.insert(prerouting.rules[i].in->name);
    end = i + 1;
  }
  for (; end < prerouting.rules.size() && names.contains(interface_at(prerouting, end)); ++end) {
    positions.push_back(end);
  }
}

// Whether rules of virtual interfaces would stand without a jump: nothing is captured by its
// address.
bool leaves_virtual_unmarked(const TableRules& nat) {
  const Chain* output = find_chain(nat, output_chain);
  if (output == nullptr || output->rules.empty()) return false;  // not a layout's
  return std::none_of(output->rules.begin(), output->rules.end(), [](const Rule& rule) {
    const Jump* jump = std::get_if<Jump>(&rule.target);
    return jump != nullptr && jump->chain == redirect_chain && rule.matches.empty();
  });
}

// Whether the chains that a redirection is made of are those of `wanted`.
bool is_as_wanted(const TableRules& nat, const TableRules* wanted) {
  if (wanted == nullptr) return false;
  const auto same = [&](const char* name) {
    const Chain* live = find_chain(nat, name);
    const Chain* asked = find_chain(*wanted, name);
    return live != nullptr && asked != nullptr && live->rules == asked->rules;
  };
  return same(inbound_chain) && same(output_chain);
}

// What PREROUTING lets pass right before our jump, or at its end if there is none.
void add_unmarked_returns(const AnchoredChain& in, Positions& positions) {
  const std::optional<Anchor> anchor = find_anchor(in, nullptr);
  const std::size_t end = anchor ? anchor->position : in.chain.rules.size();
  add_range(positions, end, run_before(in.chain, end).size());
}

}  // namespace

bool is_virtual_jump(const Rule& rule) {
  const Jump* jump = std::get_if<Jump>(&rule.target);
  return jump != nullptr && jump->chain == redirect_chain && rule.in && !rule.in->negated;
}

InterfaceRuns interface_runs(const TableRules& table, const AnchoredChain& prerouting,
                             const AnchoredChain& output, const TableRules* written,
                             const TableRules* wanted) {
  InterfaceRuns ours;
  add_virtual_returns(prerouting.chain, ours.prerouting);
  const Interfaces asked = wanted_interfaces(wanted);
  const InterfaceRun run_asked = matching_run(prerouting, asked);
  if (!asked.empty() && run_asked.length == asked.size()) {
    add_range(ours.prerouting, run_asked.end, run_asked.length);
  } else if (leaves_virtual_unmarked(table) && !(asked.empty() && is_as_wanted(table, wanted))) {
    // Another configuration may have left them, and behind one of them a new rule sees nothing.
    add_unmarked_returns(prerouting, ours.prerouting);
  }
  const std::optional<Anchor> anchor = find_anchor(output, nullptr);
  if (!anchor) return ours;
  InterfaceRun run = matching_run(prerouting, anchor->run);
  if (const std::optional<Interfaces> known = written_interfaces(written)) {
    const std::size_t agreeing = std::min(common_prefix(anchor->run, *known), run.length);
    if (agreeing == known->size()) run.length = agreeing;
  }
  add_range(ours.prerouting, run.end, run.length);
  add_range(ours.output, anchor->position, run.length);
  return ours;
}

}  // namespace sluice
