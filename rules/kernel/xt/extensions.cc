// SPDX-License-Identifier: GPL-2.0-or-later
#include <array>

#include "rules/error.h"
#include "rules/kernel/xt/codec.h"

namespace sluice::kernel::xt {
namespace {

std::string hexadecimal(const Payload& payload) {
  constexpr std::array<char, 17> digits{"0123456789abcdef"};
  std::string text = payload.name + " [revision " + std::to_string(payload.revision) + ": 0x";
  for (const std::uint8_t byte : payload.bytes) {
    text += digits.at(byte >> 4U);
    text += digits.at(byte & 0xfU);
  }
  return text + "]";
}

}  // namespace

Match decode_match(const Payload& payload) {
  std::optional<Match> match;
  if (payload.name == "tcp") match = decode_tcp(payload);
  if (payload.name == "udp") match = decode_udp(payload);
  if (payload.name == "owner") match = decode_owner(payload);
  if (match) return *match;
  return Opaque{"-m " + hexadecimal(payload)};
}

Target decode_target(const Payload& payload, Family family) {
  std::optional<Target> target;
  if (payload.name == "REDIRECT") target = decode_redirect(payload, family);
  if (payload.name == "REJECT") target = decode_reject(payload, family);
  if (target) return *target;
  return Opaque{"-j " + hexadecimal(payload)};
}

Payload encode_match(const Match& match) {
  return std::visit(Overloaded{
                        [](const Opaque& opaque) -> Payload {
                          throw Error("match " + quote(opaque.text) + " cannot be written");
                        },
                        [](const Tcp& known) { return encode(known); },
                        [](const Udp& known) { return encode(known); },
                        [](const Owner& known) { return encode(known); },
                        [](const auto&) -> Payload { throw Error("this match cannot be written"); },
                    },
                    match);
}

}  // namespace sluice::kernel::xt
