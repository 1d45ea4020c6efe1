// SPDX-License-Identifier: GPL-2.0-or-later
#include <array>

#include "rules/error.h"
#include "rules/kernel/xt/codec.h"

namespace sluice::kernel::xt {
namespace {

// Room for the verdict, which libiptc fills in: sizeof(xt_standard_target) - header.
constexpr std::size_t verdict_size = sizeof(std::uint64_t);

Payload standard(const std::string& name) {
  return {.name = name, .revision = 0, .bytes = std::vector<std::uint8_t>(verdict_size)};
}

std::string hexadecimal(const Payload& payload) {
  constexpr std::array<char, 17> digits{"0123456789abcdef"};
  std::string text = payload.name + " [revision " + std::to_string(payload.revision) + ": 0x";
  for (const std::uint8_t byte : payload.bytes) {
    text += digits.at(byte >> 4U);
    text += digits.at(byte & 0xfU);
  }
  return text + "]";
}

std::optional<Match> decode_known_match(const Payload& payload) {
  if (payload.name == "tcp") return decode_tcp(payload);
  if (payload.name == "udp") return decode_udp(payload);
  if (payload.name == "owner") return decode_owner(payload);
  if (payload.name == "multiport") return decode_multiport(payload);
  if (payload.name == "mark") return decode_mark(payload);
  if (payload.name == "connmark") return decode_connmark(payload);
  if (payload.name == "conntrack") return decode_conntrack(payload);
  if (payload.name == "limit") return decode_limit(payload);
  return std::nullopt;
}

std::optional<Target> decode_known_target(const Payload& payload, Family family) {
  if (payload.name == "REDIRECT") return decode_redirect(payload, family);
  if (payload.name == "REJECT") return decode_reject(payload, family);
  if (payload.name == "MARK") return decode_set_mark(payload);
  if (payload.name == "CONNMARK") return decode_save_mark(payload);
  if (payload.name == "TPROXY") return decode_tproxy(payload, family);
  if (payload.name == "CT") return decode_ct(payload);
  if (payload.name == "NFLOG") return decode_nflog(payload);
  return std::nullopt;
}

}  // namespace

Match decode_match(const Payload& payload) {
  if (std::optional<Match> match = decode_known_match(payload)) return *match;
  return Opaque{"-m " + hexadecimal(payload)};
}

Target decode_target(const Payload& payload, Family family) {
  if (std::optional<Target> target = decode_known_target(payload, family)) return *target;
  return Opaque{"-j " + hexadecimal(payload)};
}

Payload encode_match(const Match& match) {
  return std::visit(Overloaded{
                        [](const Opaque& opaque) -> Payload {
                          throw Error("match " + quote(opaque.text) + " cannot be written");
                        },
                        [](const auto& known) { return encode(known); },
                    },
                    match);
}

Payload encode_target(const Target& target, Family family) {
  return std::visit(Overloaded{
                        [](const Accept&) { return standard("ACCEPT"); },
                        [](const Drop&) { return standard("DROP"); },
                        [](const Return&) { return standard("RETURN"); },
                        [](const Jump& jump) { return standard(jump.chain); },
                        [](const Opaque& opaque) -> Payload {
                          throw Error("target " + quote(opaque.text) + " cannot be written");
                        },
                        [&](const auto& known) { return encode(known, family); },
                    },
                    target);
}

}  // namespace sluice::kernel::xt
