// SPDX-License-Identifier: GPL-2.0-or-later
// Random configurations for property tests. The same seed gives the same ones.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdlib>
#include <limits>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "rules/consistency.h"
#include "rules/error.h"
#include "rules/ip.h"
#include "rules/layout.h"
#include "rules/redirect.h"

namespace sluice {

// SLUICE_SEED if it is set, to repeat a failed run, else a new one each time.
inline std::uint64_t random_seed() {
  const char* given = std::getenv("SLUICE_SEED");
  if (given == nullptr) return std::random_device{}();
  return parse_decimal(given, std::numeric_limits<std::uint64_t>::max(), "SLUICE_SEED");
}

class RandomConfig {
 public:
  explicit RandomConfig(std::uint64_t seed) : engine_(seed) {}

  // Anything that the settings can ask for but mode NONE. Virtual interfaces' rules come with a
  // jump by which their place is known: ownership.h says why.
  RedirectConfig next() {
    RedirectConfig config;
    const std::vector<std::string>& names = layout_names();
    config.layout = find_layout(names[below(names.size())]);
    config.ipv6 =
        std::array{Ipv6Policy::automatic, Ipv6Policy::always, Ipv6Policy::never, Ipv6Policy::block}
            .at(below(4));
    config.dual_stack = chance(30);
    if (chance(30)) config.proxy_port = port();
    if (chance(30)) config.inbound_capture_port = port();
    if (chance(30)) config.inbound_tunnel_port = port();
    if (chance(50)) config.proxy_uids = ids();
    if (chance(50)) config.proxy_gids = ids();
    config.include_inbound_ports = port_selection();
    if (chance(50)) config.exclude_inbound_ports = ports();
    config.include_outbound_ports = ports();
    if (chance(50)) config.exclude_outbound_ports = ports();
    config.include_outbound_cidrs = cidr_selection();
    config.exclude_outbound_cidrs = cidrs();
    config.exclude_interfaces = interfaces();
    add_tproxy(config);
    add_dns(config);
    add_groups(config);
    const bool inbound_jump =
        config.mode == InterceptionMode::redirect &&
        (config.include_inbound_ports.all || !config.include_inbound_ports.list.empty());
    if (inbound_jump || config.include_outbound_cidrs.all ||
        config.layout->virtual_interfaces_in_full) {
      config.virtual_interfaces = interfaces();
    }
    config.exclude_inbound_cidrs = cidrs();
    config.exclude_outbound_for_uids = distinct<UidExclusion>(2, [&] { return uid_exclusion(); });
    config.drop_invalid = chance(30);
    if (chance(20)) config.ipv4_loopback = parse_cidr("127.0.0.0/8");
    config.log = chance(20);
    if (chance(30)) leave_little(config);
    return config;
  }

  // A number from 0 to `bound` - 1.
  std::size_t below(std::size_t bound) {
    return std::uniform_int_distribution<std::size_t>(0, bound - 1)(engine_);
  }
  bool chance(unsigned percent) { return below(100) < percent; }

 private:
  // So that chains come out empty often enough.
  static void leave_little(RedirectConfig& config) {
    config.exclude_outbound_ports.emplace();
    config.include_outbound_ports.clear();
    config.dns_capture = DnsCapture::off;
  }

  // Distinct elements, as lists that were parsed have them.
  template <class Element, class Make>
  std::vector<Element> distinct(std::size_t longest, Make make) {
    std::vector<Element> list;
    for (std::size_t left = below(longest + 1); left > 0; --left) {
      Element element = make();
      if (std::find(list.begin(), list.end(), element) == list.end()) list.push_back(element);
    }
    return list;
  }

  std::uint16_t port() { return static_cast<std::uint16_t>(1 + below(65535)); }

  PortRange port_range() {
    const std::uint16_t first = chance(10) ? 1 : port();
    if (chance(60)) return {.first = first, .last = first};
    const std::uint16_t last = chance(10) ? 65535 : port();
    return {.first = std::min(first, last), .last = std::max(first, last)};
  }

  std::vector<PortRange> ports() {
    return distinct<PortRange>(5, [&] { return port_range(); });
  }

  Selection<PortRange> port_selection() {
    if (chance(50)) return {};
    return {.all = false, .list = ports()};
  }

  IpAddress address() {
    IpAddress made{.family = chance(50) ? Family::ipv4 : Family::ipv6};
    const std::size_t size = made.family == Family::ipv4 ? 4 : 16;
    for (std::size_t i = 0; i < size; ++i) {
      made.bytes.at(i) = static_cast<std::uint8_t>(below(256));
    }
    return made;
  }

  Cidr cidr() {
    if (chance(10)) return parse_cidr(chance(50) ? "127.0.0.0/8" : "::1/128");
    if (chance(10)) return parse_cidr(chance(50) ? "0.0.0.0/0" : "::/0");
    const IpAddress made = address();
    return make_cidr(made, static_cast<std::uint8_t>(below(address_bits(made.family) + 1U)));
  }

  std::vector<Cidr> cidrs() {
    return distinct<Cidr>(6, [&] { return cidr(); });
  }

  Selection<Cidr> cidr_selection() {
    if (chance(50)) return {};
    return {.all = false, .list = cidrs()};
  }

  // Small ones, so that UIDs and GIDs meet, and the largest.
  std::uint32_t id() {
    if (chance(10)) return 4294967294;
    return static_cast<std::uint32_t>(chance(50) ? below(4) : below(4294967295));
  }

  std::vector<std::uint32_t> ids() {
    std::vector<std::uint32_t> list = distinct<std::uint32_t>(3, [&] { return id(); });
    return list.empty() ? std::vector<std::uint32_t>{1337} : list;
  }

  void add_tproxy(RedirectConfig& config) {
    if (!chance(40)) return;
    config.mode = InterceptionMode::tproxy;
    if (chance(50)) config.tproxy_mark = static_cast<std::uint32_t>(2000 + below(1000));
    if (chance(50)) config.tproxy_table = static_cast<std::uint32_t>(1 + below(250));
  }

  void add_dns(RedirectConfig& config) {
    if (chance(60)) return;
    config.dns_capture = chance(50) ? DnsCapture::all : DnsCapture::resolvers;
    config.resolvers = distinct<IpAddress>(3, [&] { return address(); });
    if (config.resolvers.empty()) config.resolvers.push_back(parse_address("10.96.0.10"));
    if (chance(30)) config.dns_port = port();
  }

  void add_groups(RedirectConfig& config) {
    if (chance(20)) {
      config.include_owner_groups = {
          .all = false, .list = distinct<std::uint32_t>(owner_group_limit, [&] { return id(); })};
    } else if (chance(20)) {
      config.exclude_owner_groups = ids();
    }
  }

  UidExclusion uid_exclusion() {
    UidExclusion exclusion;
    if (chance(80)) exclusion.protocol = chance(50) ? Protocol::tcp : Protocol::udp;
    if (exclusion.protocol) exclusion.ports = ports();
    const std::uint32_t first = id();
    exclusion.uids.push_back({.first = first, .last = std::max(first, id())});
    return exclusion;
  }

  std::string interface() {
    constexpr std::string_view letters = "ab0.-_";
    std::string name(1, letters[below(3)]);
    for (std::size_t left = below(15); left > 0; --left) name += letters[below(letters.size())];
    return name;
  }

  std::vector<std::string> interfaces() {
    if (chance(50)) return {};
    return distinct<std::string>(4, [&] { return interface(); });
  }

  std::mt19937_64 engine_;
};

// Whether the plugin would: some of what is drawn contradicts itself.
inline bool is_accepted(const RedirectConfig& config) {
  try {
    refuse_contradictions(config);
    return true;
  } catch (const Error&) {
    return false;
  }
}

}  // namespace sluice
