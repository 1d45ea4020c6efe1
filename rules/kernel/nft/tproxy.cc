// SPDX-License-Identifier: GPL-2.0-or-later
// `tproxy ip to ADDRESS:PORT meta mark set MARK accept`.
#include <algorithm>

#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>

#include "rules/error.h"
#include "rules/kernel/nft/codec.h"

namespace sluice::kernel::nft {
namespace {

std::uint32_t number_of(std::optional<Family> family) {
  if (!family) return NFPROTO_UNSPEC;
  return *family == Family::ipv4 ? NFPROTO_IPV4 : NFPROTO_IPV6;
}

}  // namespace

void encode(Expressions& expressions, const Tproxy& target, std::optional<Family> family) {
  if (target.port == 0) throw Error("tproxy needs a port in nf_tables");
  expr::Tproxy tproxy{.family = number_of(family), .port = NFT_REG_1};
  if (target.address != IpAddress{.family = target.address.family}) {
    if (family != target.address.family) {
      throw Error("tproxy to " + to_string(target.address) + " in a rule of another family");
    }
    tproxy.address = NFT_REG_1;
    tproxy.port = NFT_REG_2;
    const auto* const begin = target.address.bytes.begin();
    expressions.emplace_back(
        set_register(tproxy.address, Bytes(begin, begin + address_bits(*family) / 8U)));
  }
  expressions.emplace_back(
      set_register(tproxy.port, network_order(target.port, sizeof target.port)));
  expressions.emplace_back(tproxy);
  if (target.mark != 0 || target.mask != 0) {
    encode(expressions, SetMark{.value = target.mark, .mask = target.mask});
  }
  encode(expressions, Accept{});
}

// What it does not look at is compared by whoever decodes.
std::optional<Target> decode_tproxy(const Expressions& statements, std::optional<Family> family) {
  std::size_t position = 0;
  Tproxy target{.mask = 0};
  const auto* address = take<expr::Immediate>(statements, position);
  const auto* port = take<expr::Immediate>(statements, position);
  if (address == nullptr || take<expr::Tproxy>(statements, position) == nullptr) {
    return std::nullopt;
  }
  if (port == nullptr) {
    port = address;
  } else {
    target.address.family = family.value_or(Family::ipv4);
    if (address->data.size() != address_bits(target.address.family) / 8U) return std::nullopt;
    std::copy(address->data.begin(), address->data.end(), target.address.bytes.begin());
  }
  if (port->data.size() != sizeof target.port) return std::nullopt;
  target.port = static_cast<std::uint16_t>(from_network_order(port->data));
  if (const std::optional<SetMark> mark = take_set_mark(statements, position)) {
    target.mark = mark->value;
    target.mask = mark->mask;
  }
  return target;
}

}  // namespace sluice::kernel::nft
