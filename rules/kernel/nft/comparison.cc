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

// What the expression loads into register 1, nothing if it does not.
std::optional<Field> loaded_by(const Expression& expression) {
  if (const auto* meta = std::get_if<expr::Meta>(&expression)) {
    if (!meta->set && meta->reg == reg) return MetaField{meta->key};
  }
  if (const auto* ct = std::get_if<expr::Ct>(&expression)) {
    if (!ct->set && ct->reg == reg) return CtField{ct->key};
  }
  if (const auto* payload = std::get_if<expr::Payload>(&expression)) {
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

bool is_load(const Expression& expression) {
  return loaded_by(expression).has_value();
}

// Of one value: the second half of a range is none.
bool is_cmp(const Expression& expression) {
  const auto* cmp = std::get_if<expr::Cmp>(&expression);
  return cmp != nullptr && cmp->reg == reg && (cmp->op == NFT_CMP_EQ || cmp->op == NFT_CMP_NEQ);
}

// Both ports in one comparison, if that is what stands last. Not where it is negated: one of the
// two that differs is enough then.
void split_ports(Expressions& expressions) {
  constexpr std::uint32_t size = sizeof(std::uint16_t);
  if (expressions.size() < 2) return;
  const auto* load = std::get_if<expr::Payload>(&expressions[expressions.size() - 2]);
  const auto* cmp = std::get_if<expr::Cmp>(&expressions.back());
  const expr::Payload both{
      .base = NFT_PAYLOAD_TRANSPORT_HEADER, .offset = 0, .length = 2 * size, .reg = reg};
  if (load == nullptr || *load != both || cmp == nullptr || cmp->op != NFT_CMP_EQ ||
      cmp->reg != reg || cmp->data.size() != both.length) {
    return;
  }
  const Bytes data = cmp->data;
  expressions.resize(expressions.size() - 2);
  for (const std::uint32_t offset : {0U, size}) {
    const auto begin = data.begin() + offset;
    append(expressions, {.field = HeaderField{.base = both.base, .offset = offset, .length = size},
                         .first = Bytes(begin, begin + size)});
  }
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
  if (position >= expressions.size()) return std::nullopt;
  const std::optional<Field> field = loaded_by(expressions[position]);
  if (!field) return std::nullopt;
  std::size_t next = position + 1;
  Comparison comparison{.field = *field};
  if (!take_change(expressions, next, comparison)) return std::nullopt;
  if (!take_relation(expressions, next, comparison)) return std::nullopt;
  position = next;
  return comparison;
}

void share_loads(Expressions& expressions) {
  Expressions shared;
  // What register 1 holds if nothing but comparisons stands behind the load.
  const Expression* loaded = nullptr;
  for (std::size_t i = 0; i < expressions.size(); ++i) {
    const Expression& expression = expressions[i];
    const bool compared = i + 1 < expressions.size() && is_cmp(expressions[i + 1]);
    if (is_load(expression) && compared) {
      if (loaded != nullptr && *loaded == expression) continue;
      loaded = &expression;
    } else if (!is_cmp(expression)) {
      loaded = nullptr;
    }
    shared.push_back(expression);
  }
  expressions = std::move(shared);
}

Expressions spelled_out(const Expressions& expressions) {
  Expressions own;
  const Expression* loaded = nullptr;
  for (const Expression& expression : expressions) {
    if (is_load(expression)) {
      loaded = &expression;
    } else if (!is_cmp(expression)) {
      loaded = nullptr;
    } else if (loaded != nullptr && is_cmp(own.back())) {
      own.push_back(*loaded);
    }
    own.push_back(expression);
    split_ports(own);
  }
  return own;
}

}  // namespace sluice::kernel::nft
