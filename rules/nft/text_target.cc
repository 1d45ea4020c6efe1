// SPDX-License-Identifier: GPL-2.0-or-later
#include "rules/error.h"
#include "rules/nft/model.h"
#include "rules/nft/text_part.h"
#include "rules/nft/text_words.h"

namespace sluice::nft {
namespace {

std::string text_of(const Nflog& nflog) {
  const std::string group = "group " + std::to_string(nflog.group);
  if (nflog.prefix.empty()) return "log " + group;
  return "log prefix " + quoted(nflog.prefix, "prefix") + " " + group;
}

}  // namespace

// The kernel has one mask and one xor (nft_bitwise); nft prints bits that are only set as such.
std::string mark_statement(std::uint32_t value, std::uint32_t mask) {
  if (mask == all_bits) return "meta mark set " + hexadecimal(value);
  const std::uint32_t kept = ~mask;
  const std::uint32_t set = value & mask;
  const std::uint32_t toggled = value & kept;
  std::string text = "meta mark set meta mark";
  if ((kept | set) != all_bits) text += " & " + hexadecimal(kept | set);
  if (toggled != 0) text += " ^ " + hexadecimal(toggled);
  if (set != 0) text += " | " + hexadecimal(set);
  return text;
}

std::string target_text(const Target& target, sluice::Table table) {
  return std::visit(
      Overloaded{
          [](const Accept&) -> std::string { return "accept"; },
          [](const Drop&) -> std::string { return "drop"; },
          [](const Return&) -> std::string { return "return"; },
          [&](const Jump& jump) {
            return std::string(jump.go_to ? "goto " : "jump ") +
                   identifier(chain_name(table, jump.chain), "chain");
          },
          [](const Redirect& redirect) { return "redirect to :" + std::to_string(redirect.port); },
          [](const RejectWithTcpReset&) -> std::string { return "reject with tcp reset"; },
          [](const RejectWithPortUnreachable&) -> std::string {
            return "reject with icmpx port-unreachable";
          },
          [](const SetMark& mark) { return mark_statement(mark.value, mark.mask); },
          [](const SaveMark&) -> std::string { return "ct mark set meta mark"; },
          [](const RestoreMark&) -> std::string { return "meta mark set ct mark"; },
          [](const Tproxy&) -> std::string { throw no_equal_of("TPROXY alone"); },
          [](const CtZone& zone) { return "ct zone set " + std::to_string(zone.zone); },
          [](const Nflog& nflog) { return text_of(nflog); },
          [](const Opaque& opaque) -> std::string { throw no_equal_of(quote(opaque.text)); }},
      target);
}

}  // namespace sluice::nft
