// SPDX-License-Identifier: GPL-2.0-or-later
#include "rules/kernel/xt/offered.h"

#include <net/if.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <cerrno>
#include <string>
#include <string_view>

#include <linux/netfilter_ipv4/ip_tables.h>
#include <linux/netfilter_ipv6/ip6_tables.h>

#include "rules/error.h"
#include "rules/kernel/capability.h"
#include "rules/kernel/fd.h"
#include "rules/kernel/xt/raw_socket.h"

namespace sluice::kernel::xt {
namespace {

struct Options {
  Family family;
  int level;
  int match;
  int target;
};

constexpr Options ipv4_options{.family = Family::ipv4,
                               .level = IPPROTO_IP,
                               .match = IPT_SO_GET_REVISION_MATCH,
                               .target = IPT_SO_GET_REVISION_TARGET};
constexpr Options ipv6_options{.family = Family::ipv6,
                               .level = IPPROTO_IPV6,
                               .match = IP6T_SO_GET_REVISION_MATCH,
                               .target = IP6T_SO_GET_REVISION_TARGET};

class Revisions {
 public:
  explicit Revisions(const Options& options)
      : options_(options), socket_(raw_socket(options.family)) {
    if (!socket_ && !says_unsupported(errno)) {
      throw failed(errno, "ask the kernel for x_tables", Capability::net_raw);
    }
  }

  bool has_match(std::string_view name, std::uint8_t revision) const {
    return has(options_.match, name, revision);
  }
  bool has_target(std::string_view name, std::uint8_t revision) const {
    return has(options_.target, name, revision);
  }

 private:
  bool has(int option, std::string_view name, std::uint8_t revision) const {
    if (!socket_) return false;
    xt_get_revision asked{};
    asked.revision = revision;
    name.copy(asked.name, sizeof asked.name - 1);
    socklen_t size = sizeof asked;
    if (getsockopt(socket_.get(), options_.level, option, &asked, &size) == 0) return true;
    if (!says_unsupported(errno)) {
      throw failed(errno, "ask for x_tables' extension " + quote(name), Capability::net_admin);
    }
    return false;
  }

  const Options& options_;
  Fd socket_;
};

}  // namespace

bool says_unsupported(int errnum) {
  return errnum == EAFNOSUPPORT || errnum == EPROTONOSUPPORT || errnum == ENOPROTOOPT ||
         errnum == ENOENT || errnum == EOPNOTSUPP;
}

bool is_offered(Family family) {
  const Revisions revisions(family == Family::ipv4 ? ipv4_options : ipv6_options);
  return revisions.has_match("tcp", 0) && revisions.has_match("owner", 1) &&
         revisions.has_target("REDIRECT", 0);
}

}  // namespace sluice::kernel::xt
