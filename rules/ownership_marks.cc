// SPDX-License-Identifier: GPL-2.0-or-later
#include <algorithm>

#include "rules/ownership_runs.h"
#include "rules/redirect.h"

namespace sluice {
namespace {

bool is_port_match(const Match& match) {
  return std::holds_alternative<Multiport>(match) || std::holds_alternative<Tcp>(match);
}

bool is_owner_match(const Match& match) {
  return std::holds_alternative<Owner>(match);
}

// ! -d LOCALHOST -o lo -p tcp -m owner --uid-owner UID -j MARK --set-mark 1338, or with a GID;
// there may be ports before the owner or, in canonical form (canonical.h), behind it.
bool marks_self_call(const Rule& rule) {
  const auto owners = std::count_if(rule.matches.begin(), rule.matches.end(), is_owner_match);
  const auto ports = std::count_if(rule.matches.begin(), rule.matches.end(), is_port_match);
  const auto known = static_cast<std::size_t>(owners + ports);
  if (!rule.destination || !rule.destination->negated || owners != 1 || ports > 1 ||
      known != rule.matches.size()) {
    return false;
  }
  const Rule shape{.destination = rule.destination,
                   .out = Interface{.name = "lo"},
                   .protocol = Protocol::tcp,
                   .matches = rule.matches,
                   .target = SetMark{.value = outbound_mark}};
  return rule == shape;
}

}  // namespace

Positions mark_run(const Chain& output, std::uint32_t mark) {
  const Rule first{
      .out = Interface{.name = "lo"}, .protocol = Protocol::tcp, .matches = {Mark{.value = mark}}};
  const Rule last{
      .protocol = Protocol::tcp, .matches = {Connmark{.value = mark}}, .target = RestoreMark{}};
  Positions run;
  for (std::size_t i = 0; i < output.rules.size(); ++i) {
    const Rule& rule = output.rules[i];
    if (run.empty() ? rule == first : marks_self_call(rule)) run.push_back(i);
    if (run.empty() || rule != last) continue;
    run.push_back(i);
    return run;
  }
  return {};
}

Positions save_mark_rule(const Chain& prerouting, std::uint32_t mark) {
  const Rule save{
      .protocol = Protocol::tcp, .matches = {Mark{.value = mark}}, .target = SaveMark{}};
  const auto found = std::find(prerouting.rules.begin(), prerouting.rules.end(), save);
  if (found == prerouting.rules.end()) return {};
  return {static_cast<std::size_t>(found - prerouting.rules.begin())};
}

}  // namespace sluice
