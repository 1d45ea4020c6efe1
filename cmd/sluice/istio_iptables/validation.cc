// SPDX-License-Identifier: GPL-2.0-or-later
#include "cmd/sluice/istio_iptables/validation.h"

#include <algorithm>
#include <functional>
#include <optional>
#include <utility>
#include <variant>

#include "cmd/sluice/istio_iptables/probe.h"
#include "cmd/sluice/istio_iptables/probe_socket.h"
#include "cmd/sluice/istio_iptables/target.h"

namespace sluice::cmd::istio_iptables {
namespace {

template <class T>
bool holds(const std::vector<T>& list, const T& value) {
  return std::find(list.begin(), list.end(), value) != list.end();
}

// The highest ID below "nobody's" that is in neither list.
std::uint32_t pick_id(const std::vector<std::uint32_t>& taken,
                      const std::vector<std::uint32_t>& excluded) {
  std::uint32_t id = 65534;
  while (holds(taken, id) || holds(excluded, id)) --id;
  return id;
}

// Somebody we can act as, or why there is nobody.
using Sender = std::variant<User, NoTarget>;

Sender act_as(const User& user, const char* whom) {
  if (can_act_as(user)) return user;
  return NoTarget{.reason = std::string("needs CAP_SETUID and CAP_SETGID to send as ") + whom};
}

Sender find_sidecar(const RedirectConfig& config) {
  const User self = own_user();
  if (holds(config.proxy_uids, self.uid)) return self;
  return act_as({.uid = config.proxy_uids.front(), .gid = config.proxy_gids.front()},
                "the sidecar's user");
}

// Whose traffic is captured outbound.
Sender find_application(const RedirectConfig& config) {
  const Selection<std::uint32_t>& groups = config.include_owner_groups;
  const auto is_captured = [&](std::uint32_t gid) {
    if (holds(config.proxy_gids, gid)) return false;
    return groups.all ? !holds(config.exclude_owner_groups, gid) : holds(groups.list, gid);
  };
  User user{.uid = pick_id(config.proxy_uids, {}),
            .gid = pick_id(config.proxy_gids, config.exclude_owner_groups)};
  if (!groups.all) {
    const auto found = std::find_if(groups.list.begin(), groups.list.end(), is_captured);
    if (found == groups.list.end()) {
      return NoTarget{.unneeded = true, .reason = "no group's outbound traffic is captured"};
    }
    user.gid = *found;
  }
  const User self = own_user();
  if (!holds(config.proxy_uids, self.uid) && is_captured(self.gid)) return self;
  return act_as(user, "another user than the sidecar");
}

class Validation {
 public:
  Validation(const RedirectConfig& config, const std::vector<Link>& links,
             const ValidationOptions& options)
      : config_(config),
        pod_{.config = config, .links = links, .probe_port = options.probe_port},
        timeout_(options.timeout),
        sidecar_(find_sidecar(config)),
        application_(find_application(config)) {}

  std::vector<TestResult> run() {
    if (config_.mode == InterceptionMode::none) {
      results_.push_back(
          {.name = "all", .verdict = Verdict::unneeded, .detail = "the interception mode is NONE"});
      return std::move(results_);
    }
    for (const Family family : {Family::ipv4, Family::ipv6}) {
      if (!is_in_use(family)) {
        not_in_use(family);
        continue;
      }
      inbound(family);
      if (config_.mode == InterceptionMode::tproxy) tproxy(family);
      outbound(family);
      if (config_.dns_capture != DnsCapture::off) dns(family);
    }
    return std::move(results_);
  }

 private:
  bool is_in_use(Family family) const {
    const bool has_ipv6 = !own_addresses(pod_.links, Family::ipv6).empty();
    if (family == Family::ipv4) {
      return !has_ipv6 || !own_addresses(pod_.links, Family::ipv4).empty();
    }
    PodNetwork network;
    for (const Link& link : pod_.links) {
      if (link.loopback) continue;  // ::6 is there, and says nothing of the pod
      network.addresses.insert(network.addresses.end(), link.addresses.begin(),
                               link.addresses.end());
    }
    return has_ipv6 && ipv6_action(config_, network) == FamilyAction::redirect;
  }

  void not_in_use(Family family) {
    const bool has_address = !own_addresses(pod_.links, family).empty();
    if (family == Family::ipv6 && !has_address) return;  // most pods
    results_.push_back({.name = to_string(family),
                        .verdict = Verdict::unneeded,
                        .detail = has_address ? "the sidecar is not on this family: dual stack is "
                                                "not set and the first address is IPv4"
                                              : "the pod has no such address"});
  }

  // One test, if there is somebody to send and something to connect to.
  void test(const char* what, Family family, const Sender& sender, const Target& target,
            const std::function<ProbeResult(const Connection&)>& probe) {
    TestResult result{.name = std::string(what) + " " + to_string(family)};
    // What is not captured at all comes before what cannot be tested.
    const auto* no_target = std::get_if<NoTarget>(&target);
    const auto* no_sender = std::get_if<NoTarget>(&sender);
    if (no_target == nullptr || (no_sender != nullptr && !no_target->unneeded)) {
      no_target = no_sender == nullptr ? no_target : no_sender;
    }
    if (no_target != nullptr) {
      result.verdict = no_target->unneeded ? Verdict::unneeded : Verdict::skipped;
      result.detail = no_target->reason;
    } else {
      const ProbeResult probed =
          probe({.to = std::get<Endpoint>(target), .as = std::get<User>(sender)});
      result.verdict = verdict_of(probed.arrival);
      result.detail = probed.detail;
    }
    results_.push_back(std::move(result));
  }

  static Verdict verdict_of(Arrival arrival) {
    switch (arrival) {
      case Arrival::arrived:
        return Verdict::ok;
      case Arrival::lost:
        return Verdict::failed;
      case Arrival::not_permitted:
        return Verdict::skipped;
    }
    return Verdict::failed;
  }

  void inbound(Family family) {
    test("inbound", family, sidecar_, inbound_target(pod_, family), [&](Connection connection) {
      // ::6 would otherwise be its own source, which the rules let through to the application.
      if (is_passthrough(connection.to.address)) connection.from = localhost(family);
      return probe_redirect(connection, config_.inbound_capture_port, timeout_);
    });
  }

  static bool is_passthrough(const IpAddress& address) {
    return address == passthrough_source(address.family).address;
  }

  void tproxy(Family family) {
    test("TPROXY", family, application_, tproxy_target(pod_, family), [&](Connection connection) {
      connection.mark = outbound_mark;
      return probe_transparent(connection, config_.inbound_capture_port);
    });
    tproxy_route(family);
  }

  ProbeResult probe_transparent(const Connection& connection, std::uint16_t port) const {
    ProbeResult result = probe_tproxy(connection, port, timeout_);
    if (result.arrival == Arrival::not_permitted) result.detail = "needs CAP_NET_ADMIN";
    return result;
  }

  // The pod's own address is local with and without the route that delivers marked packets. This
  // one is local only by that route.
  void tproxy_route(Family family) {
    Target target = tproxy_target(pod_, family);
    std::optional<IpAddress> own;
    if (Endpoint* endpoint = std::get_if<Endpoint>(&target)) {
      own = std::exchange(endpoint->address, documentation_addresses(family).front());
    }
    test("TPROXY route", family, application_, target, [&](Connection connection) {
      connection.from = own;
      connection.mark = config_.tproxy_mark;
      return probe_transparent(connection, connection.to.port);
    });
  }

  void outbound(Family family) {
    test("outbound", family, application_, outbound_target(pod_, family),
         [&](const Connection& connection) {
           return probe_redirect(connection, config_.proxy_port, timeout_);
         });
  }

  void dns(Family family) {
    const Target target = dns_target(pod_, family);
    test("DNS over UDP", family, application_, target, [&](const Connection& connection) {
      // Only what the sidecar's user answers finds back: conntrack zones.
      const User* server = std::get_if<User>(&sidecar_);
      return probe_dns(connection, config_.dns_port,
                       server == nullptr ? std::nullopt : std::optional<User>(*server), timeout_);
    });
    test("DNS over TCP", family, application_, target, [&](const Connection& connection) {
      return probe_redirect(connection, config_.dns_port, timeout_);
    });
  }

  const RedirectConfig& config_;
  PodView pod_;
  std::chrono::milliseconds timeout_;
  Sender sidecar_;
  Sender application_;
  std::vector<TestResult> results_;
};

}  // namespace

std::string to_string(const TestResult& result) {
  std::string name = "validation: " + result.name + ": ";
  const std::string detail = result.detail.empty() ? "" : ": " + result.detail;
  switch (result.verdict) {
    case Verdict::ok:
      return name + "ok" + detail;
    case Verdict::failed:
      return name + "failed" + detail;
    case Verdict::skipped:
      return name + "skipped" + detail;
    case Verdict::unneeded:
      return name + "nothing to test" + detail;
  }
  return name;
}

std::vector<TestResult> validate(const RedirectConfig& config, const std::vector<Link>& links,
                                 const ValidationOptions& options) {
  return Validation(config, links, options).run();
}

bool is_valid(const std::vector<TestResult>& results) {
  const auto count = [&](Verdict verdict) {
    return std::count_if(results.begin(), results.end(),
                         [&](const TestResult& result) { return result.verdict == verdict; });
  };
  if (count(Verdict::failed) != 0) return false;
  return count(Verdict::ok) != 0 || count(Verdict::skipped) == 0;
}

}  // namespace sluice::cmd::istio_iptables
