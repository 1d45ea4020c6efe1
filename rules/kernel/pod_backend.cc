// SPDX-License-Identifier: GPL-2.0-or-later
#include "rules/kernel/pod_backend.h"

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "rules/error.h"
#include "rules/kernel/application.h"
#include "rules/kernel/nft/tables.h"
#include "rules/kernel/route.h"
#include "rules/kernel/rule_tables.h"
#include "rules/kernel/user_namespace.h"
#include "rules/kernel/xt/offered.h"
#include "rules/kernel/xt/tables.h"
#include "rules/ownership.h"
#include "rules/tproxy_mark.h"

namespace sluice::kernel {
namespace {

constexpr int lock_timeout_ms = 500;

struct BothTables {
  std::unique_ptr<RuleTables> chosen;
  std::unique_ptr<RuleTables> other;
};

BothTables make_both(BackendChoice chosen, const std::string& nft_table) {
  BothTables both{.chosen = std::make_unique<xt::Tables>(), .other = nft::make_tables(nft_table)};
  if (chosen == BackendChoice::nftables) std::swap(both.chosen, both.other);
  return both;
}

const char* kernel_name(const RuleTables& tables) {
  return std::string_view(tables.name()) == "xtables" ? "x_tables" : "nf_tables";
}

// Of the chosen interface, or of the other one if only that holds rules of ours.
void read_rules(const BothTables& tables, Interception& all) {
  RuleTables* holder = tables.chosen.get();
  all.rulesets = holder->read();
  if (tables.other->holds_ours()) {
    if (has_owned(all.rulesets)) {
      all.strays.emplace_back(kernel_name(*tables.other));
    } else {
      holder = tables.other.get();
      all.rulesets = holder->read();
    }
  }
  for (std::string& place : holder->strays()) all.strays.push_back(std::move(place));
  if (!all.rulesets.empty()) return;
  for (const Family family : families) all.rulesets.push_back({.family = family});
}

std::vector<FamilyMark> marks_of(const std::vector<Ruleset>& rulesets) {
  std::vector<FamilyMark> marks;
  for (const Ruleset& ruleset : rulesets) {
    if (const std::optional<std::uint32_t> mark = tproxy_mark(ruleset)) {
      marks.push_back({.family = ruleset.family, .mark = *mark});
    }
  }
  return marks;
}

}  // namespace

Choice choose_in(const Netns& netns, const BackendSettings& settings) {
  ChoiceFacts facts{.setting = settings.choice};
  facts.xtables_offered = [] { return xt::is_offered(Family::ipv4); };
  facts.nftables_offered = [] { return nft::is_offered(); };
  facts.xtables_holds_ours = [] { return xt::Tables().holds_ours(); };
  facts.nftables_holds_ours = [&] { return nft::make_tables(settings.nft_table)->holds_ours(); };
  if (settings.choice == BackendChoice::automatic) {
    facts.foreign_user_namespace = !netns.owner().is_own;
  }
  Choice choice;
  netns.run([&] { choice = choose(facts); });
  return choice;
}

const char* PodBackend::name() const {
  return choice_.backend == BackendChoice::xtables ? "xtables" : "nftables";
}

Notices PodBackend::apply(const Interception& wanted) {
  const Netns::Lock lock = netns_.lock(lock_timeout_ms);
  const Netns::Owner& owner = netns_.owner();
  Notices notices;
  if (!owner.is_own && owner.fd && writes_xtables()) {
    notices = in_user_namespace(owner.fd, netns_.fd(), [&] { return apply_here(wanted); });
  } else {
    netns_.run([&] { notices = apply_here(wanted); });
  }
  if (!lock) {
    notices.push_back("the lock of the network namespace was not to be had within " +
                      std::to_string(lock_timeout_ms) + " ms: went on without it");
  }
  return notices;
}

Notices PodBackend::remove() {
  return apply({});
}

Interception PodBackend::read() {
  Interception all;
  netns_.run([&] {
    read_rules(make_both(choice_.backend, nft_table_), all);
    for (const Cidr& cidr : owned_addresses()) {
      all.loopback_addresses.push_back(make_cidr(cidr.address, address_bits(Family::ipv6)));
    }
    all.tproxy_routes = owned_tproxy_routes(marks_of(all.rulesets));
  });
  return all;
}

// In the calling thread's namespaces.
Notices PodBackend::apply_here(const Interception& wanted) const {
  const BothTables tables = make_both(choice_.backend, nft_table_);
  Application application(*tables.chosen, *tables.other);
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
  return application.take_notices();
}

bool PodBackend::writes_xtables() const {
  if (choice_.backend == BackendChoice::xtables) return true;
  bool holds_ours = false;
  netns_.run([&] { holds_ours = xt::Tables().holds_ours(); });
  return holds_ours;
}

}  // namespace sluice::kernel
