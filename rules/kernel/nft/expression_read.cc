// SPDX-License-Identifier: GPL-2.0-or-later
// Nothing is returned for what the structure has no member for: whoever may write rules in a pod
// could hide in it what they do.
#include <algorithm>
#include <array>
#include <optional>
#include <utility>

#include <linux/netfilter/nf_tables.h>

#include "rules/kernel/nft/attribute.h"
#include "rules/kernel/nft/expression.h"

namespace sluice::kernel::nft {
namespace {

using Read = std::optional<Expression>;

std::optional<Bytes> read_data(const AttributeSet& attributes, unsigned type) {
  const std::optional<View> nested = attributes.value(type);
  if (!nested) return std::nullopt;
  const auto data = AttributeSet::read(*nested, {NFTA_DATA_VALUE});
  if (!data || !data->has(NFTA_DATA_VALUE)) return std::nullopt;
  const View value = *data->value(NFTA_DATA_VALUE);
  return Bytes(value.begin(), value.end());
}

Read read_meta(View bytes) {
  const auto all = AttributeSet::read(bytes, {NFTA_META_KEY, NFTA_META_DREG, NFTA_META_SREG});
  if (!all || all->has(NFTA_META_DREG) == all->has(NFTA_META_SREG)) return std::nullopt;
  const bool set = all->has(NFTA_META_SREG);
  const auto key = all->u32(NFTA_META_KEY);
  const auto reg = all->u32(set ? NFTA_META_SREG : NFTA_META_DREG);
  if (!key || !reg) return std::nullopt;
  return expr::Meta{.key = *key, .reg = *reg, .set = set};
}

Read read_payload(View bytes) {
  const auto all = AttributeSet::read(
      bytes, {NFTA_PAYLOAD_DREG, NFTA_PAYLOAD_BASE, NFTA_PAYLOAD_OFFSET, NFTA_PAYLOAD_LEN});
  if (!all) return std::nullopt;
  const auto reg = all->u32(NFTA_PAYLOAD_DREG);
  const auto base = all->u32(NFTA_PAYLOAD_BASE);
  const auto offset = all->u32(NFTA_PAYLOAD_OFFSET);
  const auto length = all->u32(NFTA_PAYLOAD_LEN);
  if (!reg || !base || !offset || !length) return std::nullopt;
  return expr::Payload{.base = *base, .offset = *offset, .length = *length, .reg = *reg};
}

Read read_cmp(View bytes) {
  const auto all = AttributeSet::read(bytes, {NFTA_CMP_SREG, NFTA_CMP_OP, NFTA_CMP_DATA});
  if (!all) return std::nullopt;
  const auto reg = all->u32(NFTA_CMP_SREG);
  const auto op = all->u32(NFTA_CMP_OP);
  auto data = read_data(*all, NFTA_CMP_DATA);
  if (!reg || !op || !data) return std::nullopt;
  return expr::Cmp{.op = *op, .reg = *reg, .data = std::move(*data)};
}

Read read_range(View bytes) {
  const auto all = AttributeSet::read(
      bytes, {NFTA_RANGE_SREG, NFTA_RANGE_OP, NFTA_RANGE_FROM_DATA, NFTA_RANGE_TO_DATA});
  if (!all) return std::nullopt;
  const auto reg = all->u32(NFTA_RANGE_SREG);
  const auto op = all->u32(NFTA_RANGE_OP);
  auto first = read_data(*all, NFTA_RANGE_FROM_DATA);
  auto last = read_data(*all, NFTA_RANGE_TO_DATA);
  if (!reg || !op || !first || !last) return std::nullopt;
  return expr::Range{.op = *op, .reg = *reg, .first = std::move(*first), .last = std::move(*last)};
}

Read read_bitwise(View bytes) {
  const auto all =
      AttributeSet::read(bytes, {NFTA_BITWISE_SREG, NFTA_BITWISE_DREG, NFTA_BITWISE_LEN,
                                 NFTA_BITWISE_MASK, NFTA_BITWISE_XOR, NFTA_BITWISE_OP});
  if (!all) return std::nullopt;
  const auto source = all->u32(NFTA_BITWISE_SREG);
  const auto destination = all->u32(NFTA_BITWISE_DREG);
  const auto length = all->u32(NFTA_BITWISE_LEN);
  auto mask = read_data(*all, NFTA_BITWISE_MASK);
  auto value = read_data(*all, NFTA_BITWISE_XOR);
  if (!source || !destination || !length || !mask || !value) return std::nullopt;
  if (mask->size() != *length || value->size() != *length) return std::nullopt;
  // Linux 5.6 and later have shifts and say that it is none.
  if (all->has(NFTA_BITWISE_OP) && all->u32(NFTA_BITWISE_OP) != NFT_BITWISE_BOOL) {
    return std::nullopt;
  }
  return expr::Bitwise{.source = *source,
                       .destination = *destination,
                       .mask = std::move(*mask),
                       .value = std::move(*value)};
}

Read read_byteorder(View bytes) {
  const auto all =
      AttributeSet::read(bytes, {NFTA_BYTEORDER_SREG, NFTA_BYTEORDER_DREG, NFTA_BYTEORDER_OP,
                                 NFTA_BYTEORDER_LEN, NFTA_BYTEORDER_SIZE});
  if (!all) return std::nullopt;
  const auto source = all->u32(NFTA_BYTEORDER_SREG);
  const auto destination = all->u32(NFTA_BYTEORDER_DREG);
  const auto op = all->u32(NFTA_BYTEORDER_OP);
  const auto length = all->u32(NFTA_BYTEORDER_LEN);
  const auto size = all->u32(NFTA_BYTEORDER_SIZE);
  if (!source || !destination || !op || !length || !size) return std::nullopt;
  return expr::Byteorder{
      .op = *op, .source = *source, .destination = *destination, .length = *length, .size = *size};
}

Read read_lookup(View bytes) {
  const auto all =
      AttributeSet::read(bytes, {NFTA_LOOKUP_SET, NFTA_LOOKUP_SREG, NFTA_LOOKUP_FLAGS});
  if (!all) return std::nullopt;
  auto set = all->string(NFTA_LOOKUP_SET);
  const auto reg = all->u32(NFTA_LOOKUP_SREG);
  const std::uint32_t flags = all->u32(NFTA_LOOKUP_FLAGS).value_or(0);
  if (!set || !reg || (flags & ~unsigned{NFT_LOOKUP_F_INV}) != 0) return std::nullopt;
  return expr::Lookup{.set = std::move(*set), .reg = *reg, .inverted = flags != 0};
}

Read read_ct(View bytes) {
  const auto all = AttributeSet::read(bytes, {NFTA_CT_KEY, NFTA_CT_DREG, NFTA_CT_SREG});
  if (!all || all->has(NFTA_CT_DREG) == all->has(NFTA_CT_SREG)) return std::nullopt;
  const bool set = all->has(NFTA_CT_SREG);
  const auto key = all->u32(NFTA_CT_KEY);
  const auto reg = all->u32(set ? NFTA_CT_SREG : NFTA_CT_DREG);
  if (!key || !reg) return std::nullopt;
  return expr::Ct{.key = *key, .reg = *reg, .set = set};
}

Read read_verdict(View bytes) {
  const auto data = AttributeSet::read(bytes, {NFTA_DATA_VERDICT});
  if (!data || !data->has(NFTA_DATA_VERDICT)) return std::nullopt;
  const auto all =
      AttributeSet::read(*data->value(NFTA_DATA_VERDICT), {NFTA_VERDICT_CODE, NFTA_VERDICT_CHAIN});
  if (!all) return std::nullopt;
  const auto code = all->u32(NFTA_VERDICT_CODE);
  if (!code) return std::nullopt;
  return expr::Verdict{.code = static_cast<std::int32_t>(*code),
                       .chain = all->string(NFTA_VERDICT_CHAIN).value_or("")};
}

Read read_immediate(View bytes) {
  const auto all = AttributeSet::read(bytes, {NFTA_IMMEDIATE_DREG, NFTA_IMMEDIATE_DATA});
  if (!all || !all->has(NFTA_IMMEDIATE_DATA)) return std::nullopt;
  const auto reg = all->u32(NFTA_IMMEDIATE_DREG);
  if (!reg) return std::nullopt;
  if (*reg == NFT_REG_VERDICT) return read_verdict(*all->value(NFTA_IMMEDIATE_DATA));
  auto data = read_data(*all, NFTA_IMMEDIATE_DATA);
  if (!data) return std::nullopt;
  return expr::Immediate{.reg = *reg, .data = std::move(*data)};
}

Read read_counter(View /*bytes*/) {
  return expr::Counter{};
}

Read read_redir(View bytes) {
  const auto all = AttributeSet::read(
      bytes, {NFTA_REDIR_REG_PROTO_MIN, NFTA_REDIR_REG_PROTO_MAX, NFTA_REDIR_FLAGS});
  if (!all) return std::nullopt;
  const auto port = all->u32(NFTA_REDIR_REG_PROTO_MIN);
  const auto flags = all->u32(NFTA_REDIR_FLAGS);
  // The kernel makes a range of one port of what it was given as one.
  if (!port || !flags || all->u32(NFTA_REDIR_REG_PROTO_MAX).value_or(*port) != *port) {
    return std::nullopt;
  }
  return expr::Redir{.port = *port, .flags = *flags};
}

Read read_reject(View bytes) {
  const auto all = AttributeSet::read(bytes, {NFTA_REJECT_TYPE, NFTA_REJECT_ICMP_CODE});
  if (!all) return std::nullopt;
  const auto type = all->u32(NFTA_REJECT_TYPE);
  const auto code = all->u8(NFTA_REJECT_ICMP_CODE);
  if (!type) return std::nullopt;
  // The kernel keeps no code where it needs none.
  if (*type == NFT_REJECT_TCP_RST) return expr::Reject{.type = *type, .code = 0};
  if (!code) return std::nullopt;
  return expr::Reject{.type = *type, .code = static_cast<std::uint8_t>(*code)};
}

Read read_tproxy(View bytes) {
  const auto all =
      AttributeSet::read(bytes, {NFTA_TPROXY_FAMILY, NFTA_TPROXY_REG_ADDR, NFTA_TPROXY_REG_PORT});
  if (!all) return std::nullopt;
  const auto family = all->u32(NFTA_TPROXY_FAMILY);
  if (!family) return std::nullopt;
  return expr::Tproxy{.family = *family,
                      .address = all->u32(NFTA_TPROXY_REG_ADDR).value_or(0),
                      .port = all->u32(NFTA_TPROXY_REG_PORT).value_or(0)};
}

Read read_log(View bytes) {
  const auto all = AttributeSet::read(bytes, {NFTA_LOG_GROUP, NFTA_LOG_PREFIX});
  if (!all) return std::nullopt;
  const auto group = all->u16(NFTA_LOG_GROUP);
  if (!group) return std::nullopt;
  return expr::Log{.group = static_cast<std::uint16_t>(*group),
                   .prefix = all->string(NFTA_LOG_PREFIX).value_or("")};
}

Read read_limit(View bytes) {
  const auto all = AttributeSet::read(bytes, {NFTA_LIMIT_RATE, NFTA_LIMIT_UNIT, NFTA_LIMIT_BURST,
                                              NFTA_LIMIT_TYPE, NFTA_LIMIT_FLAGS, NFTA_LIMIT_PAD});
  if (!all) return std::nullopt;
  const auto rate = all->u64(NFTA_LIMIT_RATE);
  const auto unit = all->u64(NFTA_LIMIT_UNIT);
  const auto burst = all->u32(NFTA_LIMIT_BURST);
  const bool plain = all->u32(NFTA_LIMIT_TYPE).value_or(NFT_LIMIT_PKTS) == NFT_LIMIT_PKTS &&
                     all->u32(NFTA_LIMIT_FLAGS).value_or(0) == 0;
  if (!rate || !unit || !burst || !plain) return std::nullopt;
  return expr::Limit{.rate = *rate, .unit = *unit, .burst = *burst};
}

constexpr std::array<std::pair<std::string_view, Read (*)(View)>, 15> readers{{
    {"meta", read_meta},
    {"payload", read_payload},
    {"cmp", read_cmp},
    {"range", read_range},
    {"bitwise", read_bitwise},
    {"byteorder", read_byteorder},
    {"lookup", read_lookup},
    {"ct", read_ct},
    {"immediate", read_immediate},
    {"counter", read_counter},
    {"redir", read_redir},
    {"reject", read_reject},
    {"tproxy", read_tproxy},
    {"log", read_log},
    {"limit", read_limit},
}};

Expression read_expression(View element) {
  const auto all = AttributeSet::read(element, {NFTA_EXPR_NAME, NFTA_EXPR_DATA});
  if (!all) return expr::Unknown{.name = {}, .attributes = Bytes(element.begin(), element.end())};
  std::string name = all->string(NFTA_EXPR_NAME).value_or("");
  const View data = all->value(NFTA_EXPR_DATA).value_or(View());
  const auto* const reader = std::find_if(readers.begin(), readers.end(),
                                          [&](const auto& known) { return known.first == name; });
  if (reader != readers.end()) {
    if (Read read = reader->second(data)) return std::move(*read);
  }
  return expr::Unknown{.name = std::move(name), .attributes = Bytes(data.begin(), data.end())};
}

}  // namespace

Expressions read_expressions(View attributes) {
  const std::optional<std::vector<Attribute>> elements = read_attributes(attributes);
  if (!elements || elements->size() > most_expressions) {
    return {expr::Unknown{.name = {}, .attributes = Bytes(attributes.begin(), attributes.end())}};
  }
  Expressions expressions;
  for (const Attribute& element : *elements) expressions.push_back(read_expression(element.value));
  return expressions;
}

}  // namespace sluice::kernel::nft
