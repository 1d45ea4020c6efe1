// SPDX-License-Identifier: GPL-2.0-or-later
// `meta mark`, `ct mark`.
#include <linux/netfilter/nf_tables.h>

#include "rules/kernel/nft/codec.h"

namespace sluice::kernel::nft {
namespace {

// Match is Mark or Connmark.
template <class Match>
void encode_mark(Expressions& expressions, const Match& match, const Field& field) {
  Comparison comparison{.field = field, .first = host_order(match.value), .negated = match.negated};
  if (match.mask != all_bits) comparison.mask = host_order(match.mask);
  append(expressions, comparison);
}

template <class Match>
bool decode_into(const Comparison& comparison, const Field& field, model::Rule& rule) {
  if (comparison.field != field || comparison.first.size() != sizeof(std::uint32_t) ||
      comparison.last) {
    return false;
  }
  Match match{.value = from_host_order<std::uint32_t>(comparison.first),
              .negated = comparison.negated};
  if (!comparison.mask.empty()) {
    if (comparison.mask.size() != sizeof(std::uint32_t)) return false;
    match.mask = from_host_order<std::uint32_t>(comparison.mask);
  }
  rule.rule.matches.emplace_back(match);
  return true;
}

}  // namespace

void encode(Expressions& expressions, const Mark& match) {
  encode_mark(expressions, match, MetaField{NFT_META_MARK});
}

void encode(Expressions& expressions, const Connmark& match) {
  encode_mark(expressions, match, CtField{NFT_CT_MARK});
}

bool decode_mark(const Comparison& comparison, model::Rule& rule) {
  return decode_into<Mark>(comparison, MetaField{NFT_META_MARK}, rule);
}

bool decode_connmark(const Comparison& comparison, model::Rule& rule) {
  return decode_into<Connmark>(comparison, CtField{NFT_CT_MARK}, rule);
}

}  // namespace sluice::kernel::nft
