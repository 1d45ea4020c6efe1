// SPDX-License-Identifier: GPL-2.0-or-later
#include <algorithm>

#include "rules/ownership_runs.h"
#include "rules/redirect.h"

namespace sluice {
namespace {

// -p tcp -m mark --mark MARK -j RETURN, the first rule of mode TPROXY's ISTIO_INBOUND.
std::optional<std::uint32_t> passed_mark(const Rule& rule) {
  if (rule.matches.size() != 1) return std::nullopt;
  const Mark* mark = std::get_if<Mark>(&rule.matches.front());
  if (mark == nullptr) return std::nullopt;
  const Rule shape{.protocol = Protocol::tcp, .matches = {Mark{.value = mark->value}}};
  return rule == shape ? std::optional(mark->value) : std::nullopt;
}

// ! -d LOCALHOST -o lo -p tcp -m owner --uid-owner UID -j MARK --set-mark 1338, or with a GID.
bool marks_self_call(const Rule& rule) {
  if (!rule.destination || !rule.destination->negated || rule.matches.size() != 1 ||
      !std::holds_alternative<Owner>(rule.matches.front())) {
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

std::optional<std::uint32_t> tproxy_mark(const TableRules& mangle) {
  if (const Chain* chain = find_chain(mangle, "ISTIO_TPROXY")) {
    for (const Rule& rule : chain->rules) {
      if (const Tproxy* tproxy = std::get_if<Tproxy>(&rule.target)) return tproxy->mark;
    }
  }
  if (const Chain* chain = find_chain(mangle, "ISTIO_INBOUND")) {
    for (const Rule& rule : chain->rules) {
      if (const std::optional<std::uint32_t> mark = passed_mark(rule)) return mark;
    }
  }
  return std::nullopt;
}

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
