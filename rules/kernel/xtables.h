// SPDX-License-Identifier: GPL-2.0-or-later
// The backend over x_tables, the kernel interface of iptables-legacy and ip6tables-legacy.
#pragma once

#include <memory>
#include <vector>

#include "rules/backend.h"
#include "rules/kernel/netns.h"
#include "rules/rule.h"

namespace sluice::kernel {

// Each table of each family is one commit; x_tables has no transaction across them. Application
// has the order of the writes. If a step fails, those before it are put back as they were.
class Xtables : public Backend {
 public:
  // `netns` must outlive the backend.
  explicit Xtables(const Netns& netns) : netns_(netns) {}

  const char* name() const override { return "xtables"; }
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
