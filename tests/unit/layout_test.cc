// SPDX-License-Identifier: GPL-2.0-or-later
#include "rules/layout.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <string>
#include <vector>

#include "rules/ownership.h"
#include "rules/redirect.h"

namespace sluice {
namespace {

TEST_CASE("layout: layouts are found by name, the default first", "[layout]") {
  CHECK(layout_names() == std::vector<std::string>{"istio", "istio-1.6", "sluice"});
  for (const std::string& name : layout_names()) {
    REQUIRE(find_layout(name) != nullptr);
  }
  CHECK(find_layout("") == nullptr);
  CHECK(find_layout("Istio") == nullptr);
  CHECK(RedirectConfig{}.layout == find_layout(layout_names().front()));
}

// What a layout declares must be removable later without knowing the layout.
TEST_CASE("layout: each declares nat's built-in chains and chains that are known as ours",
          "[layout]") {
  for (const Layout& layout : layouts()) {
    CAPTURE(layout.name);
    std::vector<std::string> builtin;
    std::vector<std::string> ours;
    for (const std::string& name : layout.nat_chains) {
      (is_builtin_chain(Table::nat, name) ? builtin : ours).push_back(name);
    }
    std::vector<std::string> expected = builtin_chains(Table::nat);
    std::sort(expected.begin(), expected.end());
    std::sort(builtin.begin(), builtin.end());
    CHECK(builtin == expected);
    CHECK(ours.size() == 6);
    CHECK(std::all_of(ours.begin(), ours.end(), is_owned_chain));
  }
}

}  // namespace
}  // namespace sluice
