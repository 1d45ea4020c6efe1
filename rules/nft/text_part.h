// SPDX-License-Identifier: GPL-2.0-or-later
// Names, matches and targets as nft(8) 1.0.6 lists them. Part of the implementation of text.h; all
// throw what to_text() does.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "rules/ip.h"
#include "rules/rule.h"

namespace sluice::nft {

// Without quotes; `what` says whose name it is.
std::string identifier(std::string_view name, const char* what);
// In double quotes, which know no escapes.
std::string quoted(std::string_view text, const char* what);

// "ip", "ip6": nft's word for the family's header.
const char* header_word(Family family);
// "10.0.0.0/8"; an address alone where the CIDR is no more.
std::string spelled(const Cidr& cidr);
// "80", "8000-8100".
std::string spelled(PortRange ports);

// The matches, one for each thing that is compared: {"tcp sport 53", "tcp dport != 80"}. `protocol`
// is the rule's.
std::vector<std::string> match_texts(const Match& match, std::optional<Protocol> protocol);

// A target but Tproxy, which is no single statement. `table` is that of the rule.
std::string target_text(const sluice::Target& target, sluice::Table table);
// `meta mark set ...`: the mark loses the bits of `mask` and is xored with `value`.
std::string mark_statement(std::uint32_t value, std::uint32_t mask);

}  // namespace sluice::nft
