// SPDX-License-Identifier: GPL-2.0-or-later
#include "rules/kernel/xtables.h"

#include <array>
#include <optional>
#include <utility>

#include "rules/error.h"
#include "rules/kernel/application.h"
#include "rules/kernel/link.h"
#include "rules/kernel/route.h"
#include "rules/kernel/xt/replace.h"
#include "rules/kernel/xt/table.h"
#include "rules/tproxy_mark.h"

namespace sluice::kernel {
namespace {

constexpr int lock_timeout_ms = 500;

// The pod's namespace with its backend.
class XtablesNamespace : public PodNamespace {
 public:
  explicit XtablesNamespace(Netns netns) : netns_(std::move(netns)), backend_(netns_) {}

  bool is_own() override { return netns_.is_own(); }
  std::vector<Link> links() override {
    std::vector<Link> all;
    netns_.run([&] { all = list_links(); });
    return all;
  }
  std::optional<Link> link(const std::string& name) override {
    std::optional<Link> found;
    netns_.run([&] { found = find_link(name); });
    return found;
  }
  bool loopback_has_ipv6() override {
    bool has = false;
    netns_.run([&] { has = kernel::loopback_has_ipv6(); });
    return has;
  }
  Backend& backend() override { return backend_; }

 private:
  Netns netns_;
  Xtables backend_;
};

}  // namespace

Notices Xtables::apply(const Interception& wanted) {
  const Netns::Lock lock = netns_.lock(lock_timeout_ms);
  Notices notices;
  netns_.run([&] {
    Application application;
    try {
      application.apply(wanted);
    } catch (const Error& error) {
      const Notices failures = application.roll_back();
      if (failures.empty()) throw;
      throw Error(error.code(), std::string(error.what()) + "; " + failures.front());
    } catch (...) {  // out of memory
      application.roll_back();
      throw;
    }
    notices = application.take_notices();
  });
  if (!lock) {
    notices.push_back("the lock of the network namespace was not to be had within " +
                      std::to_string(lock_timeout_ms) + " ms: went on without it");
  }
  return notices;
}

Notices Xtables::remove() {
  return apply({});
}

Interception Xtables::read() {
  Interception all;
  netns_.run([&] {
    std::vector<FamilyMark> marks;
    for (const Family family : families) {
      Ruleset ruleset{.family = family};
      for (const Table table : xt::existing_tables(family)) {
        ruleset.tables.push_back(xt::XtTable::open(family, table)->read());
      }
      if (const std::optional<std::uint32_t> mark = tproxy_mark(ruleset)) {
        marks.push_back({.family = family, .mark = *mark});
      }
      all.rulesets.push_back(std::move(ruleset));
    }
    for (const Cidr& cidr : owned_addresses()) {
      all.loopback_addresses.push_back(make_cidr(cidr.address, address_bits(Family::ipv6)));
    }
    all.tproxy_routes = owned_tproxy_routes(marks);
  });
  return all;
}

OpenedNamespace open_pod_namespace(const std::string& path) {
  std::variant<Netns, NotNetns> opened = Netns::open(path);
  if (NotNetns* reason = std::get_if<NotNetns>(&opened)) return std::move(*reason);
  return std::make_unique<XtablesNamespace>(std::get<Netns>(std::move(opened)));
}

}  // namespace sluice::kernel
