// SPDX-License-Identifier: GPL-2.0-or-later
#include "rules/kernel/nft/set.h"

#include <algorithm>
#include <array>
#include <bit>
#include <string>
#include <utility>

#include <linux/netfilter/nf_tables.h>

namespace sluice::kernel::nft {
namespace {

namespace model = sluice::nft;

struct KeyType {
  std::optional<Family> family;
  std::uint32_t type = 0;  // nft(8)'s datatype.h
  std::uint32_t length = 0;
};

constexpr std::array<KeyType, 3> key_types{{
    {.family = Family::ipv4, .type = 7, .length = 4},
    {.family = Family::ipv6, .type = 8, .length = 16},
    {.family = std::nullopt, .type = 13, .length = 2},
}};

// Both ends belong to it.
struct Interval {
  Bytes first;
  Bytes last;
};

// The next value in network byte order; false where there is none, and all are zero then.
bool increment(Bytes& key) {
  for (std::size_t i = key.size(); i-- > 0;) {
    if (++key[i] != 0) return true;
  }
  return false;
}

void decrement(Bytes& key) {
  for (std::size_t i = key.size(); i-- > 0;) {
    if (key[i]-- != 0) return;
  }
}

void add_interval(SetObject& object, Bytes first, Bytes last) {
  object.elements.push_back({.key = std::move(first)});
  if (increment(last)) object.elements.push_back({.key = std::move(last), .end = true});
}

Bytes key_of(const IpAddress& address) {
  const auto* const begin = address.bytes.begin();
  return {begin, begin + address_bits(address.family) / 8U};
}

// The last address of the prefix.
IpAddress last_address(const Cidr& cidr) {
  IpAddress address = cidr.address;
  const std::size_t size = address_bits(address.family) / 8U;
  for (std::size_t i = cidr.length / 8U; i < size; ++i) {
    const unsigned host_bits = i == cidr.length / 8U ? 0xffU >> (cidr.length % 8U) : 0xffU;
    address.bytes.at(i) = static_cast<std::uint8_t>(address.bytes.at(i) | host_bits);
  }
  return address;
}

// Where one interval ends another can begin.
bool comes_before(const ElementObject& a, const ElementObject& b) {
  if (a.key != b.key) return a.key < b.key;
  return a.end && !b.end;
}

// Nothing if the elements are no intervals. An end without a beginning holds nothing: nft(8) puts
// one before the first interval.
std::optional<std::vector<Interval>> intervals(std::vector<ElementObject> elements,
                                               std::uint32_t length) {
  std::sort(elements.begin(), elements.end(), comes_before);
  std::vector<Interval> all;
  std::optional<Bytes> first;
  for (ElementObject& element : elements) {
    if (element.key.size() != length || (first && !element.end)) return std::nullopt;
    if (!element.end) {
      first = std::move(element.key);
    } else if (first) {
      decrement(element.key);
      all.push_back({.first = std::move(*first), .last = std::move(element.key)});
      first.reset();
    }
  }
  if (first) all.push_back({.first = std::move(*first), .last = Bytes(length, 0xff)});
  return all;
}

std::uint16_t port_of(const Bytes& key) {
  return static_cast<std::uint16_t>(from_network_order(key));
}

IpAddress address_of(const Bytes& key, Family family) {
  IpAddress address{.family = family};
  std::copy(key.begin(), key.end(), address.bytes.begin());
  return address;
}

// How many bits of the two keys are the same from the first one on.
unsigned common_bits(const Bytes& a, const Bytes& b) {
  const auto [in_a, in_b] = std::mismatch(a.begin(), a.end(), b.begin());
  const auto bits = static_cast<unsigned>(in_a - a.begin()) * 8U;
  if (in_a == a.end()) return bits;
  const auto difference = static_cast<std::uint8_t>(*in_a ^ *in_b);
  return bits + static_cast<unsigned>(std::countl_zero(difference));
}

// How many bits at the end of the key have this value, all of them 1 or all of them 0.
unsigned last_bits(const Bytes& key, bool ones) {
  unsigned bits = 0;
  for (std::size_t i = key.size(); i-- > 0;) {
    const auto count =
        static_cast<unsigned>(ones ? std::countr_one(key[i]) : std::countr_zero(key[i]));
    bits += count;
    if (count != 8) break;
  }
  return bits;
}

// Nothing if the interval is more than one prefix, as none of ours is: each could be some 250, and
// a short set of them stand for memory without end.
std::optional<Cidr> prefix_of(const Interval& interval, Family family) {
  const unsigned bits = address_bits(family);
  const unsigned same = common_bits(interval.first, interval.last);
  const unsigned host_bits = bits - same;
  if (last_bits(interval.first, false) < host_bits || last_bits(interval.last, true) < host_bits) {
    return std::nullopt;
  }
  return make_cidr(address_of(interval.first, family), static_cast<std::uint8_t>(same));
}

}  // namespace

SetObject encode_set(const sluice::nft::Set& set) {
  const KeyType& type = *std::find_if(key_types.begin(), key_types.end(),
                                      [&](const KeyType& t) { return t.family == set.family; });
  SetObject object{.name = set.name,
                   .flags = NFT_SET_INTERVAL,
                   .key_type = type.type,
                   .key_length = type.length};
  for (const PortRange& ports : set.ports) {
    add_interval(object, network_order(ports.first, type.length),
                 network_order(ports.last, type.length));
  }
  for (const Cidr& cidr : set.cidrs) {
    add_interval(object, key_of(cidr.address), key_of(last_address(cidr)));
  }
  return object;
}

std::optional<sluice::nft::Set> decode_set(const SetObject& object) {
  const auto* const type = std::find_if(key_types.begin(), key_types.end(), [&](const KeyType& t) {
    return t.type == object.key_type && t.length == object.key_length;
  });
  if (type == key_types.end() || object.flags != NFT_SET_INTERVAL || object.special) {
    return std::nullopt;
  }
  const auto found = intervals(object.elements, object.key_length);
  if (!found) return std::nullopt;
  model::Set set{.name = object.name, .family = type->family};
  for (const Interval& interval : *found) {
    if (!type->family) {
      set.ports.push_back({.first = port_of(interval.first), .last = port_of(interval.last)});
      continue;
    }
    const std::optional<Cidr> cidr = prefix_of(interval, *type->family);
    if (!cidr) return std::nullopt;
    set.cidrs.push_back(*cidr);
  }
  return set;
}

void sort_elements(TableObject& table) {
  for (SetObject& set : table.sets) {
    std::sort(set.elements.begin(), set.elements.end(), comes_before);
  }
}

}  // namespace sluice::kernel::nft
