// SPDX-License-Identifier: GPL-2.0-or-later
#include "rules/tproxy_mark.h"

#include <algorithm>
#include <variant>

#include "rules/chains.h"

namespace sluice {
namespace {

const Tproxy* target_of(const Rule& rule) {
  return std::get_if<Tproxy>(&rule.target);
}

std::optional<std::uint32_t> whole_mark(std::uint32_t value, std::uint32_t mask) {
  if (value == 0 || mask != all_bits) return std::nullopt;
  return value;
}

std::optional<std::uint32_t> mark_that_is_set(const Chain& chain) {
  const auto rule = std::find_if(chain.rules.begin(), chain.rules.end(),
                                 [](const Rule& r) { return target_of(r) != nullptr; });
  if (rule == chain.rules.end()) return std::nullopt;
  const Tproxy& target = *target_of(*rule);
  return whole_mark(target.mark, target.mask);
}

std::optional<std::uint32_t> mark_that_is_exempt(const Chain& chain) {
  if (chain.rules.empty() || chain.rules.front().matches.size() != 1) return std::nullopt;
  const Mark* mark = std::get_if<Mark>(&chain.rules.front().matches.front());
  if (mark == nullptr) return std::nullopt;
  const Rule shape{
      .protocol = Protocol::tcp, .matches = {Mark{.value = mark->value}}, .target = Return{}};
  if (chain.rules.front() != shape) return std::nullopt;
  return whole_mark(mark->value, mark->mask);
}

}  // namespace

std::optional<std::uint32_t> tproxy_mark(const TableRules& mangle) {
  std::optional<std::uint32_t> mark;
  if (const Chain* chain = find_chain(mangle, tproxy_chain)) mark = mark_that_is_set(*chain);
  if (mark) return mark;
  const Chain* chain = find_chain(mangle, inbound_chain);
  return chain == nullptr ? std::nullopt : mark_that_is_exempt(*chain);
}

std::optional<std::uint32_t> tproxy_mark(const Ruleset& live) {
  const TableRules* mangle = find_table(live, Table::mangle);
  return mangle == nullptr ? std::nullopt : tproxy_mark(*mangle);
}

}  // namespace sluice
