// SPDX-License-Identifier: GPL-2.0-or-later
// What the goldens do not say. Rules are compared there.
#include "rules/redirect.h"

#include <catch2/catch.hpp>
#include <string>

#include "rules/parse.h"
#include "rules/text.h"

namespace sluice {
namespace {

TEST_CASE("redirect: mode NONE gives no rules", "[redirect]") {
  RedirectConfig config;
  config.mode = InterceptionMode::none;
  for (const Family family : {Family::ipv4, Family::ipv6}) {
    for (const FamilyAction action : {FamilyAction::redirect, FamilyAction::block}) {
      CHECK(redirect_ruleset(config, family, action) == Ruleset{.family = family});
    }
  }
}

TEST_CASE("redirect: action none gives no rules", "[redirect]") {
  CHECK(redirect_ruleset({}, Family::ipv6, FamilyAction::none) == Ruleset{.family = Family::ipv6});
}

TEST_CASE("redirect: the sidecar's own source of each family", "[redirect]") {
  CHECK(to_string(passthrough_source(Family::ipv4)) == "127.0.0.6/32");
  CHECK(to_string(passthrough_source(Family::ipv6)) == "::6/128");
}

// The layout's own default applies only where no list was given at all.
TEST_CASE("redirect: an empty list of exclusions is not the same as none", "[redirect]") {
  RedirectConfig config;
  const auto returns_15020 = [&] {
    const std::string text = to_save(redirect_ruleset(config, Family::ipv4));
    return text.find("-A ISTIO_OUTPUT -p tcp -m tcp --dport 15020 -j RETURN") != std::string::npos;
  };
  CHECK(returns_15020());
  config.exclude_outbound_ports = parse_ports("");
  CHECK_FALSE(returns_15020());
  config.exclude_outbound_ports = parse_ports("15020");
  CHECK(returns_15020());
}

}  // namespace
}  // namespace sluice
