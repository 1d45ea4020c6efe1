// SPDX-License-Identifier: GPL-2.0-or-later
// Captured DNS, read off ISTIO_OUTPUT_DNS and, in raw, ISTIO_INBOUND.
#include <algorithm>

#include "rules/chains.h"
#include "rules/parse.h"
#include "rules/recognition_read.h"

namespace sluice::recognition {
namespace {

// The addresses of what may be several resolvers in one; no more than a list may have, and one.
void add_resolvers(const Cidr& cidr, std::vector<IpAddress>& list) {
  IpAddress address = cidr.address;
  const std::size_t size = address_bits(address.family) / 8U;
  while (make_cidr(address, cidr.length) == cidr && list.size() <= list_length_limit) {
    list.push_back(address);
    std::size_t i = size;
    while (i > 0 && ++address.bytes.at(i - 1) == 0) --i;
    if (i == 0) return;  // the last one of all
  }
}

void add_resolvers(const std::optional<AddressMatch>& match, RedirectConfig& config) {
  if (match) {
    add_resolvers(match->cidr, config.resolvers);
  } else {
    config.dns_capture = DnsCapture::all;
  }
}

// There is a rule of each protocol for each resolver, or one for all.
void read_captured(const Ruleset& ruleset, Protocol protocol, RedirectConfig& config) {
  for (const Rule& rule : rules_in(ruleset, capturing_table(ruleset), dns_chain)) {
    if (rule.protocol != protocol || std::holds_alternative<Nflog>(rule.target)) continue;
    add_resolvers(rule.destination, config);
  }
}

// A rule for what each resolver answers.
void read_tracked(const Ruleset& ruleset, RedirectConfig& config) {
  for (const Rule& rule : rules_in(ruleset, Table::raw, inbound_chain)) {
    if (!rule.in) add_resolvers(rule.source, config);
  }
}

// In canonical form the order of the resolvers is where their rules are no run: with reports in
// between, or in raw those of guests, or where they are refused.
void read_resolvers(const OwnRules& ours, const Ruleset& ruleset, RedirectConfig& config) {
  const bool blocks = capturing_table(ruleset) == Table::filter;
  if (ours.canonical && !blocks && !config.log) return read_tracked(ruleset, config);
  read_captured(ruleset, ours.canonical && blocks ? Protocol::udp : Protocol::tcp, config);
}

std::optional<PortRange> source_ports(const Rule& rule) {
  const Udp* udp = rule.matches.empty() ? nullptr : std::get_if<Udp>(&rule.matches.front());
  if (udp == nullptr || !udp->source) return std::nullopt;
  return udp->source->ports;
}

}  // namespace

void read_dns(const OwnRules& ours, RedirectConfig& config) {
  const std::vector<Rule>& zones = rules_in(ours.ipv4, Table::raw, dns_chain);
  if (zones.empty()) return;
  config.dns_capture = DnsCapture::resolvers;
  read_resolvers(ours, ours.ipv4, config);
  read_resolvers(ours, ours.ipv6, config);
  if (config.dns_capture == DnsCapture::all) config.resolvers.clear();
  // All of them are of a family that has no rules.
  if (config.dns_capture == DnsCapture::resolvers && config.resolvers.empty()) {
    config.resolvers.push_back(parse_address("::1"));
  }
  const auto answer = std::find_if(zones.begin(), zones.end(),
                                   [](const Rule& rule) { return source_ports(rule).has_value(); });
  if (answer != zones.end()) config.dns_port = source_ports(*answer)->first;
}

}  // namespace sluice::recognition
