// SPDX-License-Identifier: GPL-2.0-or-later
// Real connections within the calling thread's network namespace, and whether they arrive where
// netfilter should take them. Sockets only.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <variant>

#include "rules/ip.h"

namespace sluice::cmd::istio_iptables {

struct Endpoint {
  IpAddress address = {};
  std::uint16_t port = 0;

  bool operator==(const Endpoint&) const = default;
};

// "10.0.0.1:80", "[fd00::1]:80".
std::string to_string(const Endpoint& endpoint);

// Who sends, as the owner match sees it: the file system UID and GID at the time the socket is
// made (struct file's f_cred, xt_owner.c). Acting as another user takes no process of its own.
struct User {
  std::uint32_t uid = 0;
  std::uint32_t gid = 0;

  bool operator==(const User&) const = default;
};

User own_user();
// Needs CAP_SETUID and CAP_SETGID unless it is ourselves, and IDs that are mapped in our user
// namespace.
bool can_act_as(const User& user);

struct Connection {
  Endpoint to = {};
  User as = {};
  std::optional<IpAddress> from = std::nullopt;
  std::uint32_t mark = 0;  // socket(7) SO_MARK; 0: none
};

// How the kernel would reach `to`: the source address it would take, or an errno. Sends nothing.
std::variant<IpAddress, int> source_for(const IpAddress& to);

enum class Arrival : std::uint8_t { arrived, lost, not_permitted };

struct ProbeResult {
  Arrival arrival = Arrival::arrived;
  // Why it is lost or not permitted; for what arrived, how we know if not as usual.
  std::string detail = {};
};

// A TCP connection that is to be redirected (nat's REDIRECT) to `port` of localhost, where
// SO_ORIGINAL_DST must tell its destination. Tries again until `timeout`, as a rule may be on its
// way. Where another program listens on the port, its side of the connection is looked for in
// /proc/net/tcp.
ProbeResult probe_redirect(const Connection& connection, std::uint16_t port,
                           std::chrono::milliseconds timeout);

// A TCP connection that TPROXY is to hand to a transparent socket on `port`, which then has the
// destination as its own address. Needs CAP_NET_ADMIN.
ProbeResult probe_tproxy(const Connection& connection, std::uint16_t port,
                         std::chrono::milliseconds timeout);

// A DNS query that is to be redirected to UDP `port` of localhost. With `server`, the socket there
// is that user's and its answer must come back.
ProbeResult probe_dns(const Connection& connection, std::uint16_t port,
                      const std::optional<User>& server, std::chrono::milliseconds timeout);

}  // namespace sluice::cmd::istio_iptables
