// SPDX-License-Identifier: GPL-2.0-or-later
// What the rest of the program sees of a pod's network namespace. rules/kernel/ implements it,
// tests/fake_backend.h fakes it.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "rules/ip.h"
#include "rules/rule.h"

namespace sluice {

// Policy routing that delivers marked packets to this host: `ip rule add fwmark MARK lookup TABLE`
// and `ip route add local default dev lo table TABLE`.
struct TproxyRoute {
  Family family = Family::ipv4;
  std::uint32_t mark = 0;
  std::uint32_t table = 0;

  bool operator==(const TproxyRoute&) const = default;
};

// All that Sluice puts into a network namespace, or finds in it.
struct Interception {
  // At most one per family. A family or table that is not listed holds nothing of ours.
  std::vector<Ruleset> rulesets = {};
  // On lo.
  std::vector<Cidr> loopback_addresses = {};
  // In the order of the families. Wanted is at most one per family; more may be found. One of which
  // only the ip rule or only the route is there is not found, but removed all the same.
  std::vector<TproxyRoute> tproxy_routes = {};
  // False: a kernel without the tables or addresses that the IPv6 part needs is no error; that
  // part is left out and a notice says so. Always true for what was read.
  bool ipv6_required = true;
  // Found only: where rules of ours are besides, through which packets may or may not go. A word
  // for each place: "x_tables", "table \"other\" of nf_tables".
  std::vector<std::string> strays = {};

  bool operator==(const Interception&) const = default;
};

// The `backend` setting: which of the kernel's interfaces the rules go through.
enum class BackendChoice : std::uint8_t { automatic, xtables, nftables };

struct BackendSettings {
  BackendChoice choice = BackendChoice::automatic;
  // nf_tables' table; nft::is_table_name().
  std::string nft_table = "sluice";

  bool operator==(const BackendSettings&) const = default;
};

// Things worth a log line that are no failure, one sentence each.
using Notices = std::vector<std::string>;

// Writes and reads one network namespace. Knows what is ours (ownership.h), not why.
class Backend {
 public:
  Backend() = default;
  Backend(const Backend&) = delete;
  Backend(Backend&&) = delete;
  Backend& operator=(const Backend&) = delete;
  Backend& operator=(Backend&&) = delete;
  virtual ~Backend() = default;

  // The interface that was chosen for the namespace, as in the network configuration: "xtables",
  // "nftables".
  virtual const char* name() const = 0;
  // Why that one, as the end of a sentence: "the kernel offers it".
  virtual std::string reason() const = 0;

  // Makes what is ours in the namespace equal `wanted`, reads it back and compares. Foreign rules
  // and their counters stay as they are; what is as wanted already is not written again. Throws
  // Error after putting back what was there before: EAGAIN if another writer won every time,
  // ENOTSUP if the kernel lacks something, what throw_if_interrupted() throws, otherwise the errno
  // of the failed call.
  virtual Notices apply(const Interception& wanted) = 0;

  // Takes out all that is ours, whatever configuration put it there. What is missing is no error.
  virtual Notices remove() = 0;

  // The live state, foreign rules and chains included; of the loopback addresses and of
  // the policy routing only ours. Where rules of ours are in several places, those of one of them,
  // the chosen interface's first, and the others in `strays`: rules of two places are never put
  // together, for no packet meets them so. Creates no table that is not there.
  virtual Interception read() = 0;
};

// A network interface of the namespace.
struct Link {
  std::string name;
  bool up = false;        // administratively, IFF_UP
  bool loopback = false;  // IFF_LOOPBACK
  // The first IPv4 address, then all IPv6 addresses.
  std::vector<IpAddress> addresses = {};
};

// An open network namespace of a pod.
class PodNamespace {
 public:
  PodNamespace() = default;
  PodNamespace(const PodNamespace&) = delete;
  PodNamespace(PodNamespace&&) = delete;
  PodNamespace& operator=(const PodNamespace&) = delete;
  PodNamespace& operator=(PodNamespace&&) = delete;
  virtual ~PodNamespace() = default;

  // Whether it is the namespace this program itself runs in, that is the host's.
  virtual bool is_own() = 0;
  virtual std::vector<Link> links() = 0;
  // The interface of that name, nothing if there is none.
  virtual std::optional<Link> link(const std::string& name) = 0;
  // Whether lo can have IPv6 addresses.
  virtual bool loopback_has_ipv6() = 0;
  // The choice is made by the first call, whose settings count. Creates no table. Throws Error:
  // ENOTSUP naming the kernel's modules if there is no usable one.
  virtual Backend& backend(const BackendSettings& settings) = 0;
};

// Why a path is no network namespace; `reason` follows the path in a sentence.
struct NotNetns {
  bool absent = false;  // nothing is there, as opposed to something else
  std::string reason;
};

using OpenedNamespace = std::variant<std::unique_ptr<PodNamespace>, NotNetns>;

}  // namespace sluice
