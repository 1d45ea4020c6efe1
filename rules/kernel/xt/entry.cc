// SPDX-License-Identifier: GPL-2.0-or-later
#include "rules/kernel/xt/entry.h"

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstring>

#include "rules/error.h"
#include "rules/kernel/xt/codec.h"

namespace sluice::kernel::xt {
namespace {

constexpr const char* standard_target = "";

// What differs between the two families' entries.
struct Ipv4 {
  using Entry = ipt_entry;
  static constexpr Family family = Family::ipv4;
  static auto& header(Entry& entry) { return entry.ip; }
  static const auto& header(const Entry& entry) { return entry.ip; }
  static constexpr unsigned negated_in = IPT_INV_VIA_IN;
  static constexpr unsigned negated_out = IPT_INV_VIA_OUT;
  static constexpr unsigned negated_source = IPT_INV_SRCIP;
  static constexpr unsigned negated_destination = IPT_INV_DSTIP;
  static constexpr unsigned negated_protocol = IPT_INV_PROTO;
  static constexpr unsigned protocol_flag = 0;
  static constexpr unsigned go_to_flag = IPT_F_GOTO;
  static constexpr unsigned odd_flags = IPT_F_FRAG;
  static constexpr unsigned odd_inversions = IPT_INV_FRAG | IPT_INV_TOS;
};
struct Ipv6 {
  using Entry = ip6t_entry;
  static constexpr Family family = Family::ipv6;
  static auto& header(Entry& entry) { return entry.ipv6; }
  static const auto& header(const Entry& entry) { return entry.ipv6; }
  static constexpr unsigned negated_in = IP6T_INV_VIA_IN;
  static constexpr unsigned negated_out = IP6T_INV_VIA_OUT;
  static constexpr unsigned negated_source = IP6T_INV_SRCIP;
  static constexpr unsigned negated_destination = IP6T_INV_DSTIP;
  static constexpr unsigned negated_protocol = IP6T_INV_PROTO;
  static constexpr unsigned protocol_flag = IP6T_F_PROTO;
  static constexpr unsigned go_to_flag = IP6T_F_GOTO;
  static constexpr unsigned odd_flags = IP6T_F_TOS;
  static constexpr unsigned odd_inversions = IP6T_INV_FRAG | IP6T_INV_TOS;
};

// ---- encoding

template <class Flags>
void set_flag(Flags& flags, unsigned bit) {
  flags = static_cast<Flags>(flags | bit);
}

template <class Flags>
void store_interface(const std::optional<Interface>& interface, char (&name)[IFNAMSIZ],
                     unsigned char (&mask)[IFNAMSIZ], Flags& flags, unsigned invert) {
  if (!interface) return;
  std::string text = interface->name;
  const bool prefix = !text.empty() && text.back() == '+';
  if (text.empty() || text.size() >= IFNAMSIZ) {
    throw Error("interface " + quote(text) + " is not 1 to 15 bytes long");
  }
  // iptables keeps the '+' in the name and leaves it out of the mask.
  text.copy(name, text.size());
  const std::size_t compared = prefix ? text.size() - 1 : text.size() + 1;
  std::fill_n(mask, compared, static_cast<unsigned char>(0xff));
  if (interface->negated) set_flag(flags, invert);
}

template <class Address, class Flags>
void store_address(const std::optional<AddressMatch>& match, Family family, Address& address,
                   Address& mask, Flags& flags, unsigned invert) {
  if (!match) return;
  const Cidr& cidr = match->cidr;
  if (cidr.address.family != family) {
    throw Error("address " + to_string(cidr) + " is not of the rule's family");
  }
  IpAddress ones{.family = family, .bytes = {}};
  ones.bytes.fill(0xff);
  const IpAddress bits = make_cidr(ones, cidr.length).address;
  std::memcpy(&address, cidr.address.bytes.data(), sizeof address);
  std::memcpy(&mask, bits.bytes.data(), sizeof mask);
  if (match->negated) set_flag(flags, invert);
}

// Appends header and payload of one match or target. Both headers are laid out alike:
// u.user {u16 size, char name[29], u8 revision}.
template <class Header>
void append_part(std::vector<std::uint8_t>& bytes, const Payload& payload) {
  const std::size_t size = XT_ALIGN(sizeof(Header) + payload.bytes.size());
  Header header{};
  if constexpr (std::is_same_v<Header, xt_entry_match>) {
    header.u.user.match_size = static_cast<std::uint16_t>(size);
  } else {
    header.u.user.target_size = static_cast<std::uint16_t>(size);
  }
  payload.name.copy(header.u.user.name, sizeof header.u.user.name - 1);
  header.u.user.revision = payload.revision;
  const std::size_t start = bytes.size();
  bytes.resize(start + size);
  std::memcpy(bytes.data() + start, &header, sizeof header);
  std::copy(payload.bytes.begin(), payload.bytes.end(),
            bytes.begin() + static_cast<std::ptrdiff_t>(start + sizeof header));
}

template <class Traits>
EntryBuffer encode(const Rule& rule) {
  typename Traits::Entry entry{};
  auto& header = Traits::header(entry);
  store_address(rule.source, Traits::family, header.src, header.smsk, header.invflags,
                Traits::negated_source);
  store_address(rule.destination, Traits::family, header.dst, header.dmsk, header.invflags,
                Traits::negated_destination);
  store_interface(rule.in, header.iniface, header.iniface_mask, header.invflags,
                  Traits::negated_in);
  store_interface(rule.out, header.outiface, header.outiface_mask, header.invflags,
                  Traits::negated_out);
  const Jump* jump = std::get_if<Jump>(&rule.target);
  if (jump != nullptr && jump->go_to) set_flag(header.flags, Traits::go_to_flag);
  if (rule.protocol) {
    header.proto = static_cast<std::uint8_t>(*rule.protocol);
    set_flag(header.flags, Traits::protocol_flag);
  }
  std::vector<std::uint8_t> parts;
  for (const Match& match : rule.matches) append_part<xt_entry_match>(parts, encode_match(match));
  const std::size_t target_offset = sizeof entry + parts.size();
  append_part<xt_entry_target>(parts, encode_target(rule.target, Traits::family));
  const std::size_t size = sizeof entry + parts.size();
  if (size > 0xffff) throw Error("the rule is too long for the kernel");
  entry.target_offset = static_cast<std::uint16_t>(target_offset);
  entry.next_offset = static_cast<std::uint16_t>(size);

  EntryBuffer buffer((size + 7) / 8);
  std::memcpy(buffer.data(), &entry, sizeof entry);
  std::memcpy(reinterpret_cast<std::uint8_t*>(buffer.data()) + sizeof entry, parts.data(),
              parts.size());
  return buffer;
}

// ---- decoding

std::optional<Interface> load_interface(const char (&name)[IFNAMSIZ],
                                        const unsigned char (&mask)[IFNAMSIZ], bool negated) {
  std::string text(name, strnlen(name, IFNAMSIZ));
  if (text.empty() && mask[0] == 0) return std::nullopt;
  const auto compared = std::count(std::begin(mask), std::end(mask), 0xff);
  // The kernel compares under the mask; the '+' itself is only there when iptables left it.
  const bool prefix = static_cast<std::size_t>(compared) <= text.size();
  if (prefix) text = text.substr(0, static_cast<std::size_t>(compared)) + "+";
  return Interface{.name = text, .negated = negated};
}

template <class Address>
std::optional<AddressMatch> load_address(Family family, const Address& address, const Address& mask,
                                         bool negated, std::vector<Match>& unknown) {
  IpAddress parsed{.family = family, .bytes = {}};
  IpAddress bits{.family = family, .bytes = {}};
  std::memcpy(parsed.bytes.data(), &address, sizeof address);
  std::memcpy(bits.bytes.data(), &mask, sizeof mask);
  int length = 0;
  for (const std::uint8_t byte : bits.bytes) length += std::popcount(byte);
  IpAddress ones{.family = family, .bytes = {}};
  ones.bytes.fill(0xff);
  const auto prefix = static_cast<std::uint8_t>(length);
  if (make_cidr(ones, prefix).address != bits) {
    unknown.emplace_back(Opaque{"[address " + to_string(parsed) + "/" + to_string(bits) + "]"});
    return std::nullopt;
  }
  if (length == 0 && !negated) return std::nullopt;
  return AddressMatch{.cidr = make_cidr(parsed, prefix), .negated = negated};
}

// The payload of the match or target whose header is at `bytes`. Sizes come from the kernel, which
// has checked them against next_offset.
template <class Header>
Payload load_part(const std::uint8_t* bytes, std::size_t& size) {
  Header header{};
  std::memcpy(&header, bytes, sizeof header);
  if constexpr (std::is_same_v<Header, xt_entry_match>) {
    size = header.u.match_size;
  } else {
    size = header.u.target_size;
  }
  const char* name = header.u.user.name;
  return {.name = std::string(name, strnlen(name, sizeof header.u.user.name)),
          .revision = header.u.user.revision,
          .bytes = std::vector<std::uint8_t>(bytes + sizeof header,
                                             bytes + std::max(size, sizeof header))};
}

Target standard_verdict(const std::string& verdict, bool go_to) {
  if (verdict == "ACCEPT") return Accept{};
  if (verdict == "DROP") return Drop{};
  if (verdict == "RETURN") return Return{};
  if (verdict.empty()) return Opaque{};
  if (verdict == "QUEUE") return Opaque{"-j QUEUE"};
  return Jump{.chain = verdict, .go_to = go_to};
}

template <class Traits>
Rule decode(const typename Traits::Entry& entry, const std::string& verdict) {
  Rule rule;
  const auto& header = Traits::header(entry);
  const auto negated = [&](unsigned bit) { return (header.invflags & bit) != 0; };
  rule.source = load_address(Traits::family, header.src, header.smsk,
                             negated(Traits::negated_source), rule.matches);
  rule.destination = load_address(Traits::family, header.dst, header.dmsk,
                                  negated(Traits::negated_destination), rule.matches);
  rule.in = load_interface(header.iniface, header.iniface_mask, negated(Traits::negated_in));
  rule.out = load_interface(header.outiface, header.outiface_mask, negated(Traits::negated_out));
  if (header.proto != 0) rule.protocol = static_cast<Protocol>(header.proto);
  if (negated(Traits::negated_protocol)) rule.matches.emplace_back(Opaque{"[! -p]"});

  const auto* bytes = reinterpret_cast<const std::uint8_t*>(&entry);
  const bool go_to = (header.flags & Traits::go_to_flag) != 0;
  if ((header.flags & Traits::odd_flags) != 0 || negated(Traits::odd_inversions)) {
    rule.matches.emplace_back(Opaque{"[fragment or type of service]"});
  }
  for (std::size_t at = sizeof entry, size = 0; at < entry.target_offset; at += size) {
    rule.matches.push_back(decode_match(load_part<xt_entry_match>(bytes + at, size)));
    if (size == 0) break;
  }
  std::size_t size = 0;
  const Payload target = load_part<xt_entry_target>(bytes + entry.target_offset, size);
  rule.target = target.name == standard_target ? standard_verdict(verdict, go_to)
                                               : decode_target(target, Traits::family);
  return rule;
}

}  // namespace

EntryBuffer encode_rule(const Rule& rule, Family family) {
  return family == Family::ipv4 ? encode<Ipv4>(rule) : encode<Ipv6>(rule);
}

Rule decode_rule(const ipt_entry& entry, const std::string& verdict) {
  return decode<Ipv4>(entry, verdict);
}

Rule decode_rule(const ip6t_entry& entry, const std::string& verdict) {
  return decode<Ipv6>(entry, verdict);
}

}  // namespace sluice::kernel::xt
