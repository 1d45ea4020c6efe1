// SPDX-License-Identifier: GPL-2.0-or-later
#include "rules/kernel/link.h"

#include <fcntl.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstddef>
#include <cstring>
#include <iterator>
#include <memory>
#include <string_view>
#include <utility>

#include <linux/if_addr.h>
#include <linux/ipv6.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>

#include "rules/error.h"
#include "rules/kernel/fd.h"
#include "rules/kernel/netlink.h"
#include "rules/kernel/proc.h"

namespace sluice::kernel {
namespace {

// Runs one SIOCGIF* request on the interface `name`; returns 0 or errno.
int request(const Fd& socket, unsigned long what, const std::string& name, ifreq& interface) {
  interface = {};
  name.copy(interface.ifr_name, IFNAMSIZ - 1);
  return ioctl(socket.get(), what, &interface) == 0 ? 0 : errno;
}

std::optional<IpAddress> primary_ipv4(const Fd& socket, const std::string& name) {
  ifreq interface {};
  if (request(socket, SIOCGIFADDR, name, interface) != 0) return std::nullopt;
  sockaddr_in in{};
  std::memcpy(&in, &interface.ifr_addr, sizeof in);
  IpAddress address;
  std::memcpy(address.bytes.data(), &in.sin_addr, sizeof in.sin_addr);
  return address;
}

bool parse_hexadecimal(std::string_view text, unsigned limit, unsigned& value) {
  const auto [end, failure] = std::from_chars(text.begin(), text.end(), value, 16);
  return failure == std::errc() && end == text.end() && value <= limit;
}

// One line of if_inet6: 32 hexadecimal digits, index, prefix length, scope, flags, name.
std::optional<Cidr> parse_if_inet6(std::string_view line) {
  constexpr std::size_t digits = 32;
  if (line.size() < digits + 1) return std::nullopt;
  IpAddress address{.family = Family::ipv6, .bytes = {}};
  for (std::size_t i = 0; i < address.bytes.size(); ++i) {
    unsigned byte = 0;
    if (!parse_hexadecimal(line.substr(2 * i, 2), 0xff, byte)) return std::nullopt;
    address.bytes.at(i) = static_cast<std::uint8_t>(byte);
  }
  const std::string_view columns = line.substr(digits + 1);
  const std::size_t length_column = columns.find(' ');
  unsigned length = 0;
  if (length_column == std::string_view::npos ||
      !parse_hexadecimal(columns.substr(length_column + 1, 2), 128, length)) {
    return std::nullopt;
  }
  return Cidr{.address = address, .length = static_cast<std::uint8_t>(length)};
}

Fd open_socket() {
  Fd socket(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (!socket) throw Error(errno, "open a socket in the network namespace");
  return socket;
}

std::optional<Link> look_up(const Fd& socket, const std::string& name,
                            const std::multimap<std::string, Cidr, std::less<>>& ipv6) {
  ifreq interface {};
  const int errnum = request(socket, SIOCGIFFLAGS, name, interface);
  if (errnum == ENODEV) return std::nullopt;
  if (errnum != 0) throw Error(errnum, "look up interface " + quote(name));
  const auto flags = static_cast<unsigned>(static_cast<unsigned short>(interface.ifr_flags));
  Link link{.name = name, .up = (flags & IFF_UP) != 0, .loopback = (flags & IFF_LOOPBACK) != 0};
  if (const std::optional<IpAddress> ipv4 = primary_ipv4(socket, name)) {
    link.addresses.push_back(*ipv4);
  }
  const auto [first, last] = ipv6.equal_range(name);
  std::transform(first, last, std::back_inserter(link.addresses),
                 [](const auto& entry) { return entry.second.address; });
  return link;
}

// By netlink, because an ioctl cannot say NODAD: nobody could bind the address until the kernel's
// duplicate detection has come to it. Returns 0 or errno.
int add_address(const Cidr& cidr) {
  const NetlinkMessage message = make_message(RTM_NEWADDR);
  ifaddrmsg header{};
  header.ifa_family = AF_INET6;
  header.ifa_prefixlen = cidr.length;
  header.ifa_flags = IFA_F_NODAD;
  header.ifa_index = loopback_index;
  append(*message, &header, sizeof header);
  nlattr attribute{};
  attribute.nla_len = sizeof attribute + static_cast<std::uint16_t>(cidr.address.bytes.size());
  attribute.nla_type = IFA_LOCAL;
  append(*message, &attribute, sizeof attribute);
  append(*message, cidr.address.bytes.data(), cidr.address.bytes.size());
  NetlinkSocket socket(NETLINK_ROUTE);
  return socket.request(*message, NLM_F_CREATE | NLM_F_EXCL);
}

int remove_address(const Cidr& cidr) {
  const Fd socket(::socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  in6_ifreq change{};
  std::memcpy(&change.ifr6_addr, cidr.address.bytes.data(), sizeof change.ifr6_addr);
  change.ifr6_prefixlen = cidr.length;
  change.ifr6_ifindex = loopback_index;
  return socket && ioctl(socket.get(), SIOCDIFADDR, &change) == 0 ? 0 : errno;
}

AddressChange outcome_of(int errnum, const char* doing, const Cidr& cidr, const char* where) {
  switch (errnum) {
    case 0:
      return AddressChange::done;
    case EEXIST:
    case EADDRNOTAVAIL:
      return AddressChange::unchanged;
    case EAFNOSUPPORT:  // no IPv6 at all
    case EACCES:        // addrconf's answer where disable_ipv6 is set
    case ENODEV:
    case EOPNOTSUPP:
      return AddressChange::unsupported;
    default:
      throw Error(errnum, std::string(doing) + " address " + to_string(cidr) + where);
  }
}

}  // namespace

std::vector<Link> list_links() {
  struct Deleter {
    void operator()(struct if_nameindex* all) const { if_freenameindex(all); }
  };
  const std::unique_ptr<struct if_nameindex, Deleter> all(if_nameindex());
  if (!all) throw Error(errno, "list the interfaces of the network namespace");
  const auto ipv6 = all_ipv6_addresses();
  const Fd socket = open_socket();
  std::vector<Link> links;
  for (const struct if_nameindex* entry = all.get(); entry->if_index != 0; ++entry) {
    std::optional<Link> link = look_up(socket, entry->if_name, ipv6);
    if (link) links.push_back(*std::move(link));
  }
  return links;
}

std::optional<Link> find_link(const std::string& name) {
  return look_up(open_socket(), name, all_ipv6_addresses());
}

bool loopback_has_ipv6() {
  const Fd fd(open("/proc/sys/net/ipv6/conf/lo/disable_ipv6", O_RDONLY | O_CLOEXEC));
  char disabled = '1';
  return fd && read(fd.get(), &disabled, 1) == 1 && disabled == '0';
}

std::multimap<std::string, Cidr, std::less<>> all_ipv6_addresses() {
  std::multimap<std::string, Cidr, std::less<>> all;
  const std::string file = read_proc_net("if_inet6");
  for (std::string_view text = file; !text.empty();) {
    const std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(text.size(), line.size() + 1));
    if (const std::optional<Cidr> cidr = parse_if_inet6(line)) {
      all.emplace(line.substr(line.rfind(' ') + 1), *cidr);
    }
  }
  return all;
}

std::vector<Cidr> ipv6_addresses(const std::string& name) {
  const auto all = all_ipv6_addresses();
  const auto [first, last] = all.equal_range(name);
  std::vector<Cidr> addresses;
  std::transform(first, last, std::back_inserter(addresses),
                 [](const auto& entry) { return entry.second; });
  return addresses;
}

AddressChange add_loopback_address(const Cidr& cidr) {
  return outcome_of(add_address(cidr), "add", cidr, " to lo");
}

AddressChange remove_loopback_address(const Cidr& cidr) {
  return outcome_of(remove_address(cidr), "remove", cidr, " from lo");
}

}  // namespace sluice::kernel
