// SPDX-License-Identifier: GPL-2.0-or-later
// The text of settings: what annotations, flags and the network configuration hold. Lists are
// separated by commas; blanks around an element are dropped, elements that stand twice count once,
// in order; an empty text is an empty list, an empty element is refused. All functions throw Error
// naming the offending element; the caller puts the setting's name before it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "rules/ip.h"
#include "rules/redirect.h"

namespace sluice {

inline constexpr std::size_t list_length_limit = 8192;
inline constexpr std::size_t value_size_limit = std::size_t{256} * 1024;

// An ASCII letter or digit, whatever the locale.
bool is_alphanumeric(char c);

// "80,443,8000-8100". "*" is refused.
std::vector<PortRange> parse_ports(std::string_view text);
// "*" or a list.
Selection<PortRange> parse_port_selection(std::string_view text);

// "10.0.0.0/8,fd00::/8". "*" is refused.
std::vector<Cidr> parse_cidrs(std::string_view text);
Selection<Cidr> parse_cidr_selection(std::string_view text);

// Names of 1 to 15 bytes of letters, digits, '_', '.' and '-', the first one a letter or digit.
// There is no wildcard.
std::vector<std::string> parse_interfaces(std::string_view text);

// UIDs or GIDs, 0 to 4294967294 (4294967295 is "no ID" to the kernel), at least one. `what` names
// them in messages ("UID").
std::vector<std::uint32_t> parse_ids(std::string_view text, std::string_view what);

// What Go's strconv.ParseBool takes: 1 t T TRUE true True 0 f F FALSE false False.
bool parse_bool(std::string_view text);

Ipv6Policy parse_ipv6_policy(std::string_view text);
const Layout& parse_layout(std::string_view text);
// "REDIRECT" or "NONE". TPROXY is known and refused by name.
InterceptionMode parse_interception_mode(std::string_view text);

}  // namespace sluice
