// SPDX-License-Identifier: GPL-2.0-or-later
// Matches and targets as x_tables stores them: struct xt_entry_match and xt_entry_target of
// <linux/netfilter/x_tables.h> hold a name, a revision and an extension's own structure. One
// source file per extension names that structure; both directions stand together.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <string>
#include <type_traits>
#include <vector>

#include "rules/rule.h"

namespace sluice::kernel::xt {

struct Payload {
  std::string name;
  std::uint8_t revision = 0;
  // The extension's structure; may be longer than it by the padding to 8 bytes (XT_ALIGN).
  std::vector<std::uint8_t> bytes;
};

template <class Info>
Payload make_payload(const char* name, std::uint8_t revision, const Info& info) {
  static_assert(std::is_trivially_copyable_v<Info>);
  Payload payload{.name = name, .revision = revision, .bytes = {}};
  payload.bytes.resize(sizeof info);
  std::memcpy(payload.bytes.data(), &info, sizeof info);
  return payload;
}

// The structure in `payload`, if the revision is the one we read and it is long enough.
template <class Info>
std::optional<Info> read_payload(const Payload& payload, std::uint8_t revision) {
  static_assert(std::is_trivially_copyable_v<Info>);
  if (payload.revision != revision || payload.bytes.size() < sizeof(Info)) return std::nullopt;
  Info info{};
  std::memcpy(&info, payload.bytes.data(), sizeof info);
  return info;
}

// All encode functions throw Error for what the kernel's structure cannot hold, and for an address
// or message of the other family.
Payload encode(const Tcp& tcp);
Payload encode(const Udp& udp);
Payload encode(const Owner& owner);
Payload encode(const Multiport& match);
Payload encode(const Mark& match);
Payload encode(const Connmark& match);
Payload encode(const Conntrack& match);
Payload encode(const Limit& match);
Payload encode(const Redirect& redirect, Family family);
Payload encode(const RejectWithTcpReset& target, Family family);
Payload encode(const RejectWithPortUnreachable& target, Family family);
Payload encode(const SetMark& target, Family family);
Payload encode(const SaveMark& target, Family family);
Payload encode(const RestoreMark& target, Family family);
Payload encode(const Tproxy& target, Family family);
Payload encode(const CtZone& target, Family family);
Payload encode(const Nflog& target, Family family);

// Nothing is returned for options that the model has no place for.
std::optional<Match> decode_tcp(const Payload& payload);
std::optional<Match> decode_udp(const Payload& payload);
std::optional<Match> decode_owner(const Payload& payload);
std::optional<Match> decode_multiport(const Payload& payload);
std::optional<Match> decode_mark(const Payload& payload);
std::optional<Match> decode_connmark(const Payload& payload);
std::optional<Match> decode_conntrack(const Payload& payload);
std::optional<Match> decode_limit(const Payload& payload);
std::optional<Target> decode_redirect(const Payload& payload, Family family);
std::optional<Target> decode_reject(const Payload& payload, Family family);
std::optional<Target> decode_set_mark(const Payload& payload);
std::optional<Target> decode_save_mark(const Payload& payload);
std::optional<Target> decode_tproxy(const Payload& payload, Family family);
std::optional<Target> decode_ct(const Payload& payload);
std::optional<Target> decode_nflog(const Payload& payload);

// What a match or an extension's target is in the model; Opaque where it has no place.
Match decode_match(const Payload& payload);
Target decode_target(const Payload& payload, Family family);

// Throw Error for an Opaque: it cannot be written. A verdict or a chain becomes a standard target
// with its name, which libiptc resolves, and room for the verdict.
Payload encode_match(const Match& match);
Payload encode_target(const Target& target, Family family);

}  // namespace sluice::kernel::xt
