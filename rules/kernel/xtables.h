// SPDX-License-Identifier: GPL-2.0-or-later
// The backend over x_tables, the kernel interface of iptables-legacy and ip6tables-legacy.
#pragma once

#include <memory>
#include <vector>

#include "rules/backend.h"
#include "rules/kernel/netns.h"
#include "rules/rule.h"

namespace sluice::kernel {

// Each table of each family is one commit; x_tables has no transaction across them. Order of
// writes: the addresses that the rules rely on, then IPv4, then IPv6, in each of them the tables
// from raw to filter, last the addresses that are no longer wanted. If a step fails, those before
// it are put back as they were.
class Xtables : public Backend {
 public:
  // `netns` must outlive the backend.
  explicit Xtables(const Netns& netns) : netns_(netns) {}

  Notices apply(const Interception& wanted) override;
  Notices remove() override;
  Interception read() override;

 private:
  const Netns& netns_;
};

// Opens the network namespace at `path` with this backend. Throws Error if the path cannot be
// judged.
OpenedNamespace open_pod_namespace(const std::string& path);

}  // namespace sluice::kernel
