// SPDX-License-Identifier: GPL-2.0-or-later
#include "rules/kernel/nft/comparison.h"

#include <utility>

#include <linux/netfilter/nf_tables.h>

#include "rules/rule.h"

namespace sluice::kernel::nft {
namespace {

constexpr expr::Register reg = NFT_REG_1;

Expression load(const Field& field) {
  return std::visit(
      Overloaded{
          [](const MetaField& meta) -> Expression {
            return expr::Meta{.key = meta.key, .reg = reg};
          },
          [](const CtField& ct) -> Expression { return expr::Ct{.key = ct.key, .reg = reg}; },
          [](const HeaderField& header) -> Expression {
            return expr::Payload{
                .base = header.base, .offset = header.offset, .length = header.length, .reg = reg};
          },
      },
      field);
}

std::optional<Field> take_field(const Expressions& expressions, std::size_t& position) {
  if (const auto* meta = take<expr::Meta>(expressions, position)) {
    if (!meta->set && meta->reg == reg) return MetaField{meta->key};
  } else if (const auto* ct = take<expr::Ct>(expressions, position)) {
    if (!ct->set && ct->reg == reg) return CtField{ct->key};
  } else if (const auto* payload = take<expr::Payload>(expressions, position)) {
    if (payload->reg == reg) {
      return HeaderField{
          .base = payload->base, .offset = payload->offset, .length = payload->length};
    }
  }
  return std::nullopt;
}

bool is_zero(const Bytes& bytes) {
  return bytes == Bytes(bytes.size());
}

// Whether the part of it that stands between load and comparison can be read.
bool take_change(const Expressions& expressions, std::size_t& position, Comparison& comparison) {
  if (const auto* bitwise = take<expr::Bitwise>(expressions, position)) {
    comparison.mask = bitwise->mask;
    return bitwise->source == reg && bitwise->destination == reg && is_zero(bitwise->value) &&
           !bitwise->mask.empty();
  }
  if (const auto* byteorder = take<expr::Byteorder>(expressions, position)) {
    comparison.network_order = true;
    return *byteorder == expr::Byteorder{.op = NFT_BYTEORDER_HTON,
                                         .source = reg,
                                         .destination = reg,
                                         .length = sizeof(std::uint32_t),
                                         .size = sizeof(std::uint32_t)};
  }
  return true;
}

bool take_cmp(const Expressions& expressions, std::size_t& position, Comparison& comparison) {
  const auto* cmp = take<expr::Cmp>(expressions, position);
  if (cmp == nullptr || cmp->reg != reg) return false;
  comparison.first = cmp->data;
  if (cmp->op == NFT_CMP_EQ) return true;
  comparison.negated = true;
  if (cmp->op == NFT_CMP_NEQ) return true;
  comparison.negated = false;
  const auto* upper = take<expr::Cmp>(expressions, position);
  if (cmp->op != NFT_CMP_GTE || upper == nullptr) return false;
  comparison.last = upper->data;
  return upper->op == NFT_CMP_LTE && upper->reg == reg;
}

bool take_relation(const Expressions& expressions, std::size_t& position, Comparison& comparison) {
  if (const auto* range = take<expr::Range>(expressions, position)) {
    comparison.first = range->first;
    comparison.last = range->last;
    comparison.negated = true;
    return range->reg == reg && range->op == NFT_RANGE_NEQ;
  }
  if (const auto* lookup = take<expr::Lookup>(expressions, position)) {
    comparison.set = lookup->set;
    return lookup->reg == reg && !lookup->inverted && !lookup->set.empty();
  }
  return take_cmp(expressions, position, comparison);
}

}  // namespace

void append(Expressions& expressions, const Comparison& comparison) {
  expressions.push_back(load(comparison.field));
  if (!comparison.mask.empty()) {
    expressions.emplace_back(expr::Bitwise{.source = reg,
                                           .destination = reg,
                                           .mask = comparison.mask,
                                           .value = Bytes(comparison.mask.size())});
  }
  if (comparison.network_order) {
    expressions.emplace_back(expr::Byteorder{.op = NFT_BYTEORDER_HTON,
                                             .source = reg,
                                             .destination = reg,
                                             .length = sizeof(std::uint32_t),
                                             .size = sizeof(std::uint32_t)});
  }
  if (!comparison.set.empty()) {
    expressions.emplace_back(expr::Lookup{.set = comparison.set, .reg = reg});
  } else if (!comparison.last) {
    expressions.emplace_back(expr::Cmp{
        .op = comparison.negated ? NFT_CMP_NEQ : NFT_CMP_EQ, .reg = reg, .data = comparison.first});
  } else if (comparison.negated) {
    expressions.emplace_back(expr::Range{
        .op = NFT_RANGE_NEQ, .reg = reg, .first = comparison.first, .last = *comparison.last});
  } else {
    expressions.emplace_back(expr::Cmp{.op = NFT_CMP_GTE, .reg = reg, .data = comparison.first});
    expressions.emplace_back(expr::Cmp{.op = NFT_CMP_LTE, .reg = reg, .data = *comparison.last});
  }
}

std::optional<Comparison> take_comparison(const Expressions& expressions, std::size_t& position) {
  std::size_t next = position;
  const std::optional<Field> field = take_field(expressions, next);
  if (!field) return std::nullopt;
  Comparison comparison{.field = *field};
  if (!take_change(expressions, next, comparison)) return std::nullopt;
  if (!take_relation(expressions, next, comparison)) return std::nullopt;
  position = next;
  return comparison;
}

}  // namespace sluice::kernel::nft
