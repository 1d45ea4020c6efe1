// SPDX-License-Identifier: GPL-2.0-or-later
// Attributes in the order in which libnftnl writes them.
#include <array>

#include <linux/netfilter/nf_tables.h>

#include "rules/error.h"
#include "rules/kernel/nft/attribute.h"
#include "rules/kernel/nft/expression.h"
#include "rules/rule.h"

namespace sluice::kernel::nft {
namespace {

constexpr std::array<std::string_view, std::variant_size_v<Expression> - 1> names{
    "meta",      "payload",   "cmp",     "range", "bitwise", "byteorder", "lookup", "ct",
    "immediate", "immediate", "counter", "redir", "reject",  "tproxy",    "log",    "limit"};

void put_data(AttributeWriter& writer, unsigned type, View data) {
  const std::size_t begun = writer.begin(type);
  writer.put(NFTA_DATA_VALUE, data);
  writer.end(begun);
}

void put(AttributeWriter& writer, const expr::Meta& meta) {
  writer.put_u32(NFTA_META_KEY, meta.key);
  writer.put_u32(meta.set ? NFTA_META_SREG : NFTA_META_DREG, meta.reg);
}

void put(AttributeWriter& writer, const expr::Payload& payload) {
  writer.put_u32(NFTA_PAYLOAD_DREG, payload.reg);
  writer.put_u32(NFTA_PAYLOAD_BASE, payload.base);
  writer.put_u32(NFTA_PAYLOAD_OFFSET, payload.offset);
  writer.put_u32(NFTA_PAYLOAD_LEN, payload.length);
}

void put(AttributeWriter& writer, const expr::Cmp& cmp) {
  writer.put_u32(NFTA_CMP_SREG, cmp.reg);
  writer.put_u32(NFTA_CMP_OP, cmp.op);
  put_data(writer, NFTA_CMP_DATA, cmp.data);
}

void put(AttributeWriter& writer, const expr::Range& range) {
  writer.put_u32(NFTA_RANGE_SREG, range.reg);
  writer.put_u32(NFTA_RANGE_OP, range.op);
  put_data(writer, NFTA_RANGE_FROM_DATA, range.first);
  put_data(writer, NFTA_RANGE_TO_DATA, range.last);
}

void put(AttributeWriter& writer, const expr::Bitwise& bitwise) {
  writer.put_u32(NFTA_BITWISE_SREG, bitwise.source);
  writer.put_u32(NFTA_BITWISE_DREG, bitwise.destination);
  writer.put_u32(NFTA_BITWISE_LEN, static_cast<std::uint32_t>(bitwise.mask.size()));
  put_data(writer, NFTA_BITWISE_MASK, bitwise.mask);
  put_data(writer, NFTA_BITWISE_XOR, bitwise.value);
}

void put(AttributeWriter& writer, const expr::Byteorder& byteorder) {
  writer.put_u32(NFTA_BYTEORDER_SREG, byteorder.source);
  writer.put_u32(NFTA_BYTEORDER_DREG, byteorder.destination);
  writer.put_u32(NFTA_BYTEORDER_OP, byteorder.op);
  writer.put_u32(NFTA_BYTEORDER_LEN, byteorder.length);
  writer.put_u32(NFTA_BYTEORDER_SIZE, byteorder.size);
}

void put(AttributeWriter& writer, const expr::Lookup& lookup) {
  writer.put_string(NFTA_LOOKUP_SET, lookup.set);
  writer.put_u32(NFTA_LOOKUP_SREG, lookup.reg);
  if (lookup.inverted) writer.put_u32(NFTA_LOOKUP_FLAGS, NFT_LOOKUP_F_INV);
}

void put(AttributeWriter& writer, const expr::Ct& ct) {
  writer.put_u32(NFTA_CT_KEY, ct.key);
  writer.put_u32(ct.set ? NFTA_CT_SREG : NFTA_CT_DREG, ct.reg);
}

void put(AttributeWriter& writer, const expr::Verdict& verdict) {
  writer.put_u32(NFTA_IMMEDIATE_DREG, NFT_REG_VERDICT);
  const std::size_t data = writer.begin(NFTA_IMMEDIATE_DATA);
  const std::size_t begun = writer.begin(NFTA_DATA_VERDICT);
  writer.put_u32(NFTA_VERDICT_CODE, static_cast<std::uint32_t>(verdict.code));
  if (!verdict.chain.empty()) writer.put_string(NFTA_VERDICT_CHAIN, verdict.chain);
  writer.end(begun);
  writer.end(data);
}

void put(AttributeWriter& writer, const expr::Immediate& immediate) {
  writer.put_u32(NFTA_IMMEDIATE_DREG, immediate.reg);
  put_data(writer, NFTA_IMMEDIATE_DATA, immediate.data);
}

void put(AttributeWriter& writer, const expr::Counter& /*counter*/) {
  writer.put_u64(NFTA_COUNTER_BYTES, 0);
  writer.put_u64(NFTA_COUNTER_PACKETS, 0);
}

void put(AttributeWriter& writer, const expr::Redir& redir) {
  writer.put_u32(NFTA_REDIR_REG_PROTO_MIN, redir.port);
  writer.put_u32(NFTA_REDIR_FLAGS, redir.flags);
}

void put(AttributeWriter& writer, const expr::Reject& reject) {
  writer.put_u32(NFTA_REJECT_TYPE, reject.type);
  writer.put_u8(NFTA_REJECT_ICMP_CODE, reject.code);
}

void put(AttributeWriter& writer, const expr::Tproxy& tproxy) {
  writer.put_u32(NFTA_TPROXY_FAMILY, tproxy.family);
  if (tproxy.address != 0) writer.put_u32(NFTA_TPROXY_REG_ADDR, tproxy.address);
  if (tproxy.port != 0) writer.put_u32(NFTA_TPROXY_REG_PORT, tproxy.port);
}

void put(AttributeWriter& writer, const expr::Log& log) {
  if (!log.prefix.empty()) writer.put_string(NFTA_LOG_PREFIX, log.prefix);
  writer.put_u16(NFTA_LOG_GROUP, log.group);
}

void put(AttributeWriter& writer, const expr::Limit& limit) {
  writer.put_u64(NFTA_LIMIT_RATE, limit.rate);
  writer.put_u64(NFTA_LIMIT_UNIT, limit.unit);
  writer.put_u32(NFTA_LIMIT_BURST, limit.burst);
  writer.put_u32(NFTA_LIMIT_TYPE, NFT_LIMIT_PKTS);
  writer.put_u32(NFTA_LIMIT_FLAGS, 0);
}

void put(AttributeWriter& /*writer*/, const expr::Unknown& unknown) {
  throw Error("expression " + quote(unknown.name) + " of nf_tables cannot be written");
}

}  // namespace

std::string_view name_of(const Expression& expression) {
  if (const auto* unknown = std::get_if<expr::Unknown>(&expression)) return unknown->name;
  return names.at(expression.index());
}

Bytes write_expressions(const Expressions& expressions) {
  Bytes bytes;
  AttributeWriter writer(bytes);
  for (const Expression& expression : expressions) {
    const std::size_t element = writer.begin(NFTA_LIST_ELEM);
    writer.put_string(NFTA_EXPR_NAME, name_of(expression));
    const std::size_t data = writer.begin(NFTA_EXPR_DATA);
    std::visit([&](const auto& known) { put(writer, known); }, expression);
    writer.end(data);
    writer.end(element);
  }
  return bytes;
}

}  // namespace sluice::kernel::nft
