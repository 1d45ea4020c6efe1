// SPDX-License-Identifier: GPL-2.0-or-later
// A whole rule as x_tables stores it: struct ipt_entry <linux/netfilter_ipv4/ip_tables.h> or
// struct ip6t_entry <linux/netfilter_ipv6/ip6_tables.h>, the matches, the target, each aligned to
// 8 bytes.
#pragma once

// Before any netfilter header: the C library and the kernel define the same names.
#include <net/if.h>
#include <netinet/in.h>

#include <cstdint>
#include <string>
#include <vector>

#include <linux/netfilter_ipv4/ip_tables.h>
#include <linux/netfilter_ipv6/ip6_tables.h>

#include "rules/rule.h"

namespace sluice::kernel::xt {

// The bytes of one entry; 64-bit words so that libiptc may read them as an entry.
using EntryBuffer = std::vector<std::uint64_t>;

// Verdicts and jumps are left to libiptc: it resolves the name in the target. Throws Error for an
// Opaque, for an address of the other family, for an interface name that is not 1 to
// 15 bytes long.
EntryBuffer encode_rule(const Rule& rule, Family family);

// `verdict` is what libiptc calls the entry's target (iptc_get_target(3)): a verdict, a chain, the
// name of an extension, or "" for a rule that only counts.
Rule decode_rule(const ipt_entry& entry, const std::string& verdict);
Rule decode_rule(const ip6t_entry& entry, const std::string& verdict);

}  // namespace sluice::kernel::xt
