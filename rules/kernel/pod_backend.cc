// SPDX-License-Identifier: GPL-2.0-or-later
#include "rules/kernel/pod_backend.h"

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "rules/error.h"
#include "rules/interruption.h"
#include "rules/kernel/application.h"
#include "rules/kernel/nft/offered.h"
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

// In the calling thread's namespaces.
Notices apply_to(const BothTables& tables, const Interception& wanted) {
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

// What cannot be read cannot be written either: Application goes on without it, and says so.
bool other_holds_ours(const BothTables& tables) {
  const Uninterrupted scope;
  try {
    return tables.other->holds_ours();
  } catch (const Error&) {
    return false;
  }
}

// Whether x_tables is to be written where an owner match is only taken from within.
bool takes_child(const Netns& netns, BackendChoice chosen, const BothTables& tables) {
  const Netns::Owner& owner = netns.owner();
  if (owner.is_own || !owner.fd) return false;
  if (chosen == BackendChoice::xtables) return true;
  bool holds_ours = false;
  netns.run([&] { holds_ours = other_holds_ours(tables); });
  throw_if_interrupted();
  return holds_ours;
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
  const BothTables tables = make_both(choice_.backend, nft_table_);
  Notices notices;
  if (takes_child(netns_, choice_.backend, tables)) {
    notices =
        in_user_namespace(netns_.owner().fd, netns_.fd(), [&] { return apply_to(tables, wanted); });
  } else {
    if (before_writing_) before_writing_();
    netns_.run([&] { notices = apply_to(tables, wanted); });
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

}  // namespace sluice::kernel
