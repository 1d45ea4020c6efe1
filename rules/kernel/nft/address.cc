// SPDX-License-Identifier: GPL-2.0-or-later
// `meta nfproto ipv4`, which nft(8) puts before everything that is of one family only, and `ip
// saddr`, `ip6 daddr`: struct iphdr and ip6_hdr.
#include <algorithm>

#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>

#include "rules/kernel/nft/codec.h"

namespace sluice::kernel::nft {
namespace {

Comparison family_comparison(Family family) {
  const unsigned number = family == Family::ipv4 ? NFPROTO_IPV4 : NFPROTO_IPV6;
  return {.field = MetaField{NFT_META_NFPROTO}, .first = {static_cast<std::uint8_t>(number)}};
}

HeaderField address_field(Family family, Side side) {
  const std::uint32_t size = address_bits(family) / 8U;
  const std::uint32_t source = family == Family::ipv4 ? 12 : 8;
  return {.base = NFT_PAYLOAD_NETWORK_HEADER,
          .offset = side == Side::source ? source : source + size,
          .length = size};
}

Bytes prefix_mask(Family family, unsigned length) {
  IpAddress ones{.family = family};
  ones.bytes.fill(0xff);
  const IpAddress mask = make_cidr(ones, static_cast<std::uint8_t>(length)).address;
  return {mask.bytes.begin(), mask.bytes.begin() + address_bits(family) / 8U};
}

// The length of the prefix, nothing if the mask is none.
std::optional<unsigned> prefix_length(Family family, const Bytes& mask) {
  unsigned length = 0;
  for (const std::uint8_t byte : mask) {
    for (unsigned bit = 0x80; bit != 0 && (byte & bit) != 0; bit >>= 1U) ++length;
    if (byte != 0xff) break;
  }
  if (length > address_bits(family) || prefix_mask(family, length) != mask) return std::nullopt;
  return length;
}

// Whole bytes are loaded by themselves, as nft(8) does; other prefixes are masked.
Comparison address_comparison(const AddressMatch& match, Side side) {
  const Family family = match.cidr.address.family;
  HeaderField field = address_field(family, side);
  Comparison comparison{.field = field, .negated = match.negated};
  const unsigned length = match.cidr.length;
  if (length == 0 || length % 8U != 0) {
    comparison.mask = prefix_mask(family, length);
  } else {
    field.length = length / 8U;
    comparison.field = field;
  }
  const auto* const begin = match.cidr.address.bytes.begin();
  comparison.first.assign(begin, begin + field.length);
  return comparison;
}

std::optional<AddressMatch> read_address(const Comparison& comparison, const HeaderField& field,
                                         Family family) {
  if (comparison.last || comparison.first.size() != field.length) return std::nullopt;
  unsigned length = field.length * 8U;
  if (!comparison.mask.empty()) {
    const auto masked = prefix_length(family, comparison.mask);
    if (!masked) return std::nullopt;
    length = *masked;
  }
  IpAddress address{.family = family};
  std::copy(comparison.first.begin(), comparison.first.end(), address.bytes.begin());
  return AddressMatch{.cidr = make_cidr(address, static_cast<std::uint8_t>(length)),
                      .negated = comparison.negated};
}

bool decode_address_of(const Comparison& comparison, model::Rule& rule, Side side) {
  const auto& field = std::get<HeaderField>(comparison.field);
  const HeaderField whole = address_field(*rule.family, side);
  if (field.base != whole.base || field.offset != whole.offset || field.length > whole.length) {
    return false;
  }
  std::string& set = side == Side::source ? rule.source_set : rule.destination_set;
  std::optional<AddressMatch>& match =
      side == Side::source ? rule.rule.source : rule.rule.destination;
  if (match || !set.empty()) return false;
  if (comparison.set.empty()) {
    match = read_address(comparison, field, *rule.family);
    return match.has_value();
  }
  set = comparison.set;
  return field == whole;
}

}  // namespace

void encode_family(Expressions& expressions, Family family) {
  append(expressions, family_comparison(family));
}

bool decode_family(const Comparison& comparison, model::Rule& rule) {
  if (rule.family) return false;
  for (const Family family : families) {
    if (comparison == family_comparison(family)) rule.family = family;
  }
  return rule.family.has_value();
}

void encode_address(Expressions& expressions, const AddressMatch& match, Side side) {
  append(expressions, address_comparison(match, side));
}

void encode_address_set(Expressions& expressions, const std::string& set, Family family,
                        Side side) {
  append(expressions, {.field = address_field(family, side), .set = set});
}

bool decode_address(const Comparison& comparison, model::Rule& rule) {
  if (!rule.family || !std::holds_alternative<HeaderField>(comparison.field)) return false;
  return decode_address_of(comparison, rule, Side::source) ||
         decode_address_of(comparison, rule, Side::destination);
}

}  // namespace sluice::kernel::nft
