// SPDX-License-Identifier: GPL-2.0-or-later
#include <algorithm>
#include <array>

#include "rules/consistency.h"
#include "rules/error.h"
#include "rules/parse.h"
#include "rules/recognition_read.h"

namespace sluice::recognition {
namespace {

template <class Element, class Possible>
bool all_possible(const std::vector<Element>& list, Possible possible) {
  return list.size() <= list_length_limit && std::all_of(list.begin(), list.end(), possible);
}

bool is_id(std::uint32_t id) {
  return id <= highest_id;
}

bool are_ids(const std::vector<std::uint32_t>& ids) {
  return all_possible(ids, is_id);
}

bool are_ports(const std::vector<PortRange>& list) {
  return all_possible(list,
                      [](PortRange ports) { return ports.first > 0 && ports.first <= ports.last; });
}

bool are_exclusions(const std::vector<UidExclusion>& list) {
  return all_possible(list, [](const UidExclusion& exclusion) {
    const bool users = all_possible(exclusion.uids, [](UidExclusion::Uids uids) {
      return uids.first <= uids.last && is_id(uids.last);
    });
    const bool protocol = !exclusion.protocol || exclusion.protocol == Protocol::tcp ||
                          exclusion.protocol == Protocol::udp;
    return users && protocol && are_ports(exclusion.ports);
  });
}

bool are_interfaces(const std::vector<std::string>& names) {
  return all_possible(
      names, [](const std::string& name) { return parse_interfaces(name) == std::vector{name}; });
}

bool are_prefixes(const std::vector<Cidr>& list) {
  return list.size() <= list_length_limit;
}

bool has_possible_ports(const RedirectConfig& config) {
  const std::array listeners{config.proxy_port, config.inbound_capture_port,
                             config.inbound_tunnel_port, config.dns_port};
  const std::vector<PortRange> none;
  return std::find(listeners.begin(), listeners.end(), 0) == listeners.end() &&
         are_ports(config.include_inbound_ports.list) &&
         are_ports(config.exclude_inbound_ports.value_or(none)) &&
         are_ports(config.include_outbound_ports) &&
         are_ports(config.exclude_outbound_ports.value_or(none));
}

bool has_possible_owners(const RedirectConfig& config) {
  return !config.proxy_uids.empty() && are_ids(config.proxy_uids) && !config.proxy_gids.empty() &&
         are_ids(config.proxy_gids) && are_exclusions(config.exclude_outbound_for_uids) &&
         config.include_owner_groups.list.size() <= owner_group_limit &&
         are_ids(config.include_owner_groups.list) && are_ids(config.exclude_owner_groups);
}

bool has_possible_addresses(const RedirectConfig& config) {
  const Cidr& loopback = config.ipv4_loopback;
  return loopback.address.family == Family::ipv4 && is_loopback(loopback) &&
         are_prefixes(config.include_outbound_cidrs.list) &&
         are_prefixes(config.exclude_outbound_cidrs) &&
         are_prefixes(config.exclude_inbound_cidrs) && config.resolvers.size() <= list_length_limit;
}

bool has_possible_routing(const RedirectConfig& config) {
  if (config.mode != InterceptionMode::tproxy) return true;
  return parse_mark(std::to_string(config.tproxy_mark)) == config.tproxy_mark &&
         parse_routing_table(std::to_string(config.tproxy_table)) == config.tproxy_table;
}

}  // namespace

bool is_possible(const RedirectConfig& config) {
  if (!has_possible_ports(config) || !has_possible_owners(config) ||
      !has_possible_addresses(config)) {
    return false;
  }
  try {
    refuse_contradictions(config);
    return has_possible_routing(config) && are_interfaces(config.exclude_interfaces) &&
           are_interfaces(config.virtual_interfaces);
  } catch (const Error&) {
    return false;
  }
}

}  // namespace sluice::recognition
