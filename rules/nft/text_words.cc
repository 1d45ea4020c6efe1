// SPDX-License-Identifier: GPL-2.0-or-later
#include "rules/nft/text_words.h"

#include <algorithm>

#include "rules/nft/model.h"
#include "rules/nft/text_part.h"

namespace sluice::nft {

Error no_equal_of(const std::string& what) {
  return unsupported("nf_tables has no equal of " + what);
}

std::string hexadecimal(std::uint32_t value) {
  constexpr std::string_view digits = "0123456789abcdef";
  std::string text = "0x";
  for (int shift = 28; shift >= 0; shift -= 4)
    text += digits[value >> static_cast<unsigned>(shift) & 0xfU];
  return text;
}

std::string spelled_range(std::uint32_t first, std::uint32_t last) {
  if (first > last) {
    throw Error("range \"" + std::to_string(first) + "-" + std::to_string(last) + "\" is reversed");
  }
  return first == last ? std::to_string(first) : std::to_string(first) + "-" + std::to_string(last);
}

std::string spelled(PortRange ports) {
  return spelled_range(ports.first, ports.last);
}

const char* header_word(Family family) {
  return family == Family::ipv4 ? "ip" : "ip6";
}

std::string spelled(const Cidr& cidr) {
  const bool whole = cidr.length == address_bits(cidr.address.family);
  return whole ? to_string(cidr.address) : to_string(cidr);
}

std::string identifier(std::string_view name, const char* what) {
  if (!is_identifier(name)) {
    throw Error(std::string(what) + " " + quote(name) + " is no name that nft(8) reads");
  }
  return std::string(name);
}

std::string quoted(std::string_view text, const char* what) {
  const bool valid = std::all_of(text.begin(), text.end(), [](char c) {
    return c >= ' ' && c <= '~' && c != '"' && c != '$' && c != '\\';
  });
  if (!valid) throw Error(std::string(what) + " " + quote(text) + " cannot be quoted for nft(8)");
  return "\"" + std::string(text) + "\"";
}

}  // namespace sluice::nft
