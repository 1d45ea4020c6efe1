// SPDX-License-Identifier: GPL-2.0-or-later
#include "cmd/sluice/istio_iptables/target.h"

#include <algorithm>
#include <optional>
#include <system_error>

#include "cmd/sluice/istio_iptables/probe_socket.h"

namespace sluice::cmd::istio_iptables {
namespace {

constexpr std::uint16_t dns_server_port = 53;

bool contains(const Cidr& cidr, const IpAddress& address) {
  return cidr.address.family == address.family && make_cidr(address, cidr.length) == cidr;
}

bool contains(const std::vector<Cidr>& cidrs, const IpAddress& address) {
  return std::any_of(cidrs.begin(), cidrs.end(),
                     [&](const Cidr& cidr) { return contains(cidr, address); });
}

bool contains(const std::vector<PortRange>& ranges, std::uint16_t port) {
  return std::any_of(ranges.begin(), ranges.end(), [&](const PortRange& range) {
    return port >= range.first && port <= range.last;
  });
}

bool contains(const std::vector<std::string>& interfaces, const std::string& name) {
  return std::any_of(interfaces.begin(), interfaces.end(), [&](const std::string& pattern) {
    if (pattern.back() != '+') return pattern == name;
    return name.compare(0, pattern.size() - 1, pattern, 0, pattern.size() - 1) == 0;
  });
}

// `preferred` if it will do, else the first port that is in `wanted` and not in `refused`.
std::optional<std::uint16_t> pick_port(std::uint16_t preferred,
                                       const std::vector<PortRange>& wanted,
                                       const std::vector<PortRange>& refused) {
  const auto fits = [&](std::uint16_t port) {
    return contains(wanted, port) && !contains(refused, port);
  };
  if (fits(preferred)) return preferred;
  for (const PortRange& range : wanted) {
    for (std::uint32_t port = range.first; port <= range.last; ++port) {
      if (fits(static_cast<std::uint16_t>(port))) return static_cast<std::uint16_t>(port);
    }
  }
  return std::nullopt;
}

std::vector<PortRange> all_ports() {
  return {{.first = 1, .last = 65535}};
}

PortRange one_port(std::uint16_t port) {
  return {.first = port, .last = port};
}

std::vector<PortRange> excluded_outbound_ports(const RedirectConfig& config) {
  return config.exclude_outbound_ports.value_or(std::vector<PortRange>{});
}

bool is_localhost(const RedirectConfig& config, const IpAddress& address) {
  return address.family == Family::ipv4 ? contains(config.ipv4_loopback, address)
                                        : is_loopback(address);
}

// The address `offset` after the first of the prefix, if it lies in it.
std::optional<IpAddress> nth_address(const Cidr& cidr, std::uint8_t offset) {
  IpAddress address = cidr.address;
  const std::size_t last = address_bits(address.family) / 8U - 1U;
  address.bytes.at(last) = static_cast<std::uint8_t>(address.bytes.at(last) + offset);
  if (address.bytes.at(last) < offset || !contains(cidr, address)) return std::nullopt;
  return address;
}

std::vector<Cidr> included_cidrs(const RedirectConfig& config, Family family) {
  const Cidr all{.address = any_address(family), .length = 0};
  if (config.include_outbound_cidrs.all) return {all};
  std::vector<Cidr> cidrs;
  std::copy_if(config.include_outbound_cidrs.list.begin(), config.include_outbound_cidrs.list.end(),
               std::back_inserter(cidrs),
               [&](const Cidr& cidr) { return cidr.address.family == family; });
  return cidrs;
}

// Destinations within the prefixes, those for documentation first.
std::vector<IpAddress> candidates(const std::vector<Cidr>& cidrs, Family family) {
  constexpr std::size_t cidr_limit = 64;
  constexpr std::uint8_t offset_limit = 8;
  std::vector<IpAddress> all;
  for (const IpAddress& address : documentation_addresses(family)) {
    if (contains(cidrs, address)) all.push_back(address);
  }
  for (std::size_t i = 0; i < std::min(cidrs.size(), cidr_limit); ++i) {
    if (cidrs[i].length == 0) continue;  // 0.0.0.1 and the like lead nowhere
    for (std::uint8_t offset = 1; offset <= offset_limit; ++offset) {
      if (const auto address = nth_address(cidrs[i], offset)) all.push_back(*address);
    }
    all.push_back(cidrs[i].address);
  }
  return all;
}

// Why a connection there tells nothing; nothing if it does.
std::optional<std::string> why_unfit(const PodView& pod, const IpAddress& address) {
  const std::string name = to_string(address);
  const auto source = source_for(address);
  if (const int* errnum = std::get_if<int>(&source)) {
    return "no route to " + name + ": " + std::generic_category().message(*errnum);
  }
  const auto& from = std::get<IpAddress>(source);
  if (from == address) return name + " is an address of the pod";
  for (const Link& link : pod.links) {
    const bool leaves_by =
        std::find(link.addresses.begin(), link.addresses.end(), from) != link.addresses.end();
    if (leaves_by && contains(pod.config.exclude_interfaces, link.name)) {
      return "the route to " + name + " is over interface " + link.name + ", which is excluded";
    }
  }
  return std::nullopt;
}

// The first of the addresses that is fit, or why the first one that is captured is not.
Target first_fit(const PodView& pod, const std::vector<IpAddress>& addresses, std::uint16_t port) {
  std::string reason;
  for (const IpAddress& address : addresses) {
    const std::optional<std::string> unfit = why_unfit(pod, address);
    if (!unfit) return Endpoint{.address = address, .port = port};
    if (reason.empty()) reason = *unfit;
  }
  if (reason.empty()) reason = "no destination was found that is captured";
  return NoTarget{.reason = reason};
}

}  // namespace

std::vector<IpAddress> own_addresses(const std::vector<Link>& links, Family family) {
  std::vector<IpAddress> own;
  for (const Link& link : links) {
    for (const IpAddress& address : link.addresses) {
      if (address.family == family && !is_loopback(address) && !is_link_local(address) &&
          !link.loopback) {
        own.push_back(address);
      }
    }
  }
  return own;
}

std::vector<IpAddress> documentation_addresses(Family family) {
  if (family == Family::ipv6) return {parse_address("2001:db8::1"), parse_address("3fff::1")};
  return {parse_address("192.0.2.1"), parse_address("198.51.100.1"), parse_address("203.0.113.1")};
}

bool captures_inbound(const RedirectConfig& config) {
  return config.include_inbound_ports.all || !config.include_inbound_ports.list.empty();
}

Target inbound_target(const PodView& pod, Family family) {
  const RedirectConfig& config = pod.config;
  if (!captures_inbound(config)) {
    return NoTarget{.unneeded = true, .reason = "no inbound port is captured"};
  }
  if (contains(config.exclude_interfaces, "lo")) {
    return NoTarget{.reason = "the sidecar's connections over lo are excluded"};
  }
  std::vector<PortRange> refused = excluded_outbound_ports(config);
  refused.push_back(one_port(config.inbound_tunnel_port));
  if (config.dns_capture != DnsCapture::off) refused.push_back(one_port(dns_server_port));
  const auto port = pick_port(pod.probe_port, all_ports(), refused);
  if (!port) return NoTarget{.reason = "all ports are excluded"};
  IpAddress address = passthrough_source(family).address;
  if (is_localhost(config, address)) {
    const std::vector<IpAddress> own = own_addresses(pod.links, family);
    if (own.empty()) return NoTarget{.reason = "the pod has no address but localhost"};
    address = own.front();
  }
  return Endpoint{.address = address, .port = *port};
}

Target tproxy_target(const PodView& pod, Family family) {
  const RedirectConfig& config = pod.config;
  if (!captures_inbound(config)) {
    return NoTarget{.unneeded = true, .reason = "no inbound port is captured"};
  }
  const auto& outbound = config.include_outbound_cidrs.list;
  if (std::any_of(outbound.begin(), outbound.end(), [](const Cidr& c) { return is_loopback(c); })) {
    return NoTarget{.reason = "outbound traffic over lo is captured before"};
  }
  if (contains(config.exclude_interfaces, "lo")) {
    return NoTarget{.reason = "connections over lo are excluded"};
  }
  const Selection<PortRange>& included = config.include_inbound_ports;
  const auto port = included.all
                        ? pick_port(pod.probe_port, all_ports(),
                                    config.exclude_inbound_ports.value_or(std::vector<PortRange>{}))
                        : pick_port(pod.probe_port, included.list, {});
  const std::vector<IpAddress> own = own_addresses(pod.links, family);
  if (!port) return NoTarget{.unneeded = true, .reason = "all inbound ports are excluded"};
  if (own.empty()) return NoTarget{.reason = "the pod has no address but localhost"};
  return Endpoint{.address = own.front(), .port = *port};
}

Target outbound_target(const PodView& pod, Family family) {
  const RedirectConfig& config = pod.config;
  std::vector<Cidr> cidrs = included_cidrs(config, family);
  std::vector<PortRange> wanted = all_ports();
  if (cidrs.empty()) {
    // Captured whatever the destination.
    wanted = config.include_outbound_ports;
    cidrs = {{.address = any_address(family), .length = 0}};
    if (wanted.empty()) {
      return NoTarget{.unneeded = true, .reason = "no outbound destination is captured"};
    }
  }
  std::vector<PortRange> refused = excluded_outbound_ports(config);
  if (config.dns_capture != DnsCapture::off) refused.push_back(one_port(dns_server_port));
  const auto port = pick_port(pod.probe_port, wanted, refused);
  if (!port) return NoTarget{.unneeded = true, .reason = "all outbound ports are excluded"};
  std::vector<IpAddress> addresses = candidates(cidrs, family);
  addresses.erase(std::remove_if(addresses.begin(), addresses.end(),
                                 [&](const IpAddress& address) {
                                   return contains(config.exclude_outbound_cidrs, address) ||
                                          is_localhost(config, address) || is_multicast(address);
                                 }),
                  addresses.end());
  return first_fit(pod, addresses, *port);
}

Target dns_target(const PodView& pod, Family family) {
  const RedirectConfig& config = pod.config;
  if (contains(excluded_outbound_ports(config), dns_server_port)) {
    return NoTarget{.unneeded = true, .reason = "outbound port 53 is excluded"};
  }
  std::vector<IpAddress> servers;
  std::copy_if(config.resolvers.begin(), config.resolvers.end(), std::back_inserter(servers),
               [&](const IpAddress& address) { return address.family == family; });
  if (config.dns_capture == DnsCapture::all) servers = documentation_addresses(family);
  if (servers.empty()) {
    return NoTarget{.unneeded = true, .reason = "the pod has no resolver of this family"};
  }
  return first_fit(pod, servers, dns_server_port);
}

}  // namespace sluice::cmd::istio_iptables
