// SPDX-License-Identifier: GPL-2.0-or-later
// Golden configurations: tests/golden/NAME.json says what is asked for in the words of the network
// configuration and of annotations, NAME.rules what both families' rules are, as iptables-save
// spells them. UPDATE_GOLDEN=1 rewrites the rules; read the difference before you keep it.
#include <algorithm>
#include <catch2/catch.hpp>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "cni/config.h"
#include "cni/json.h"
#include "cni/settings.h"
#include "rules/consistency.h"
#include "rules/redirect.h"
#include "rules/text.h"

namespace sluice {
namespace {

using std::filesystem::path;

std::vector<path> golden_configs() {
  std::vector<path> configs;
  for (const auto& entry : std::filesystem::directory_iterator(SLUICE_GOLDEN_DIR)) {
    if (entry.path().extension() == ".json") configs.push_back(entry.path());
  }
  std::sort(configs.begin(), configs.end());
  return configs;
}

path rules_path(path config) {
  return config.replace_extension(".rules");
}

std::string content_of(const path& file) {
  std::ifstream stream(file, std::ios::binary);
  REQUIRE(stream);
  return {std::istreambuf_iterator<char>(stream), {}};
}

bool updates() {
  const char* asked = std::getenv("UPDATE_GOLDEN");
  return asked != nullptr && std::string(asked) == "1";
}

FamilyAction ipv6_action_of(const cni::Json& golden) {
  const std::string action = golden.value("ipv6_action", "redirect");
  const bool known = action == "redirect" || action == "block";
  REQUIRE(known);
  return action == "block" ? FamilyAction::block : FamilyAction::redirect;
}

std::string rules_of(const cni::Json& golden) {
  const cni::PluginConfig plugin = cni::read_plugin_config(golden.at("settings"));
  // A misspelled key would make the golden one of the defaults.
  CHECK(plugin.problems.empty());
  CHECK(plugin.unknown_keys.empty());
  RedirectConfig config = plugin.defaults;
  cni::apply_annotations(config, golden.value("annotations", cni::Annotations()));
  CHECK_NOTHROW(refuse_contradictions(config));
  return to_text({redirect_ruleset(config, Family::ipv4),
                  redirect_ruleset(config, Family::ipv6, ipv6_action_of(golden))},
                 to_save);
}

// Line by line: the first difference says more than two long texts.
void check_same(const std::string& wanted, const std::string& got) {
  std::size_t line = 1;
  for (std::size_t i = 0; i < std::min(wanted.size(), got.size()) && wanted[i] == got[i]; ++i) {
    line += wanted[i] == '\n' ? 1U : 0U;
  }
  INFO("first difference in line " << line);
  CHECK(got == wanted);
}

TEST_CASE("golden: every configuration gives exactly its rules", "[golden]") {
  for (const path& config : golden_configs()) {
    DYNAMIC_SECTION(config.stem().string()) {
      const std::string rules = rules_of(cni::parse_json(content_of(config), config.string()));
      if (updates()) {
        std::ofstream(rules_path(config), std::ios::binary) << rules;
      }
      INFO(rules_path(config).string() << " must exist: UPDATE_GOLDEN=1 writes it");
      REQUIRE(std::filesystem::exists(rules_path(config)));
      check_same(content_of(rules_path(config)), rules);
    }
  }
}

TEST_CASE("golden: there are enough configurations, and no rules without one", "[golden]") {
  CHECK(golden_configs().size() >= 120);
  for (const auto& entry : std::filesystem::directory_iterator(SLUICE_GOLDEN_DIR)) {
    CAPTURE(entry.path());
    path config = entry.path();
    CHECK(std::filesystem::exists(config.replace_extension(".json")));
  }
}

// The goldens are a catalogue of what Sluice writes, so they also serve the reader of dumps.
TEST_CASE("golden: every text reads back as what it says", "[golden]") {
  for (const path& config : golden_configs()) {
    CAPTURE(config);
    const std::string text = content_of(rules_path(config));
    std::vector<Ruleset> rulesets = parse_save(text);
    CHECK(to_text(rulesets, to_save) == text);
  }
}

}  // namespace
}  // namespace sluice
