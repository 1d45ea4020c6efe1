// SPDX-License-Identifier: GPL-2.0-or-later
// `ct state`, `ct direction`. The bits of NF_CT_STATE_* are x_tables' but for untracked.
#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nf_conntrack_tuple_common.h>
#include <linux/netfilter/nf_tables.h>

#include "rules/error.h"
#include "rules/kernel/nft/codec.h"

namespace sluice::kernel::nft {
namespace {

constexpr std::uint32_t same_bits =
    Conntrack::invalid | Conntrack::established | Conntrack::related | Conntrack::new_connection;
static_assert(Conntrack::invalid == NF_CT_STATE_INVALID_BIT);
static_assert(Conntrack::new_connection == NF_CT_STATE_BIT(IP_CT_NEW));

constexpr Field state_field = CtField{NFT_CT_STATE};
constexpr Field direction_field = CtField{NFT_CT_DIRECTION};

// A packet has one state: to be none of several is a mask, not to be one is a comparison.
bool is_one(std::uint32_t bits) {
  return (bits & (bits - 1)) == 0;
}

bool decode_states(const Comparison& comparison, model::Rule& rule) {
  const bool masked = !comparison.mask.empty();
  const Bytes& bytes = masked ? comparison.mask : comparison.first;
  if (bytes.size() != sizeof(std::uint32_t)) return false;
  const auto bits = from_host_order<std::uint32_t>(bytes);
  std::uint32_t states = bits & same_bits;
  if ((bits & NF_CT_STATE_UNTRACKED_BIT) != 0) states |= Conntrack::untracked;
  rule.rule.matches.emplace_back(Conntrack{.states = static_cast<std::uint16_t>(states),
                                           .negated = !masked || !comparison.negated});
  return states != 0;
}

bool decode_direction(const Comparison& comparison, model::Rule& rule) {
  if (comparison.first.size() != 1 || comparison.first.front() > IP_CT_DIR_REPLY) return false;
  const auto direction = comparison.first.front() == IP_CT_DIR_ORIGINAL
                             ? Conntrack::Direction::original
                             : Conntrack::Direction::reply;
  auto* last = last_match<Conntrack>(rule);
  if (last != nullptr && !last->direction) {
    last->direction = direction;
  } else {
    rule.rule.matches.emplace_back(Conntrack{.direction = direction});
  }
  return true;
}

}  // namespace

void encode(Expressions& expressions, const Conntrack& match) {
  const std::uint32_t unknown = match.states & ~(same_bits | Conntrack::untracked);
  if (unknown != 0) {
    throw unsupported("connection states " + std::to_string(unknown) + " are none of nf_tables'");
  }
  if (match.states != 0) {
    std::uint32_t bits = match.states & same_bits;
    if ((match.states & Conntrack::untracked) != 0) bits |= NF_CT_STATE_UNTRACKED_BIT;
    Comparison comparison{.field = state_field, .negated = true};
    if (match.negated && is_one(bits)) {
      comparison.first = host_order(bits);
    } else {
      comparison.mask = host_order(bits);
      comparison.first = Bytes(sizeof bits);
      comparison.negated = !match.negated;
    }
    append(expressions, comparison);
  }
  if (match.direction) {
    const unsigned direction =
        *match.direction == Conntrack::Direction::original ? IP_CT_DIR_ORIGINAL : IP_CT_DIR_REPLY;
    append(expressions,
           {.field = direction_field, .first = {static_cast<std::uint8_t>(direction)}});
  }
}

bool decode_conntrack(const Comparison& comparison, model::Rule& rule) {
  if (comparison.field == state_field) return decode_states(comparison, rule);
  return comparison.field == direction_field && decode_direction(comparison, rule);
}

}  // namespace sluice::kernel::nft
