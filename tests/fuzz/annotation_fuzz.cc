// SPDX-License-Identifier: GPL-2.0-or-later
// Each annotation's parser, and what the rules then are.
#include <string>
#include <vector>

#include "cni/pod.h"
#include "cni/settings.h"
#include "rules/diff.h"
#include "rules/error.h"
#include "rules/ownership.h"
#include "rules/redirect.h"
#include "rules/text.h"
#include "tests/fuzz/fuzz.h"

namespace {

using namespace sluice;  // NOLINT(google-build-using-namespace): a main file, nothing includes it

// What a tenant wrote cannot become another rule: the text says what the rules are.
void require_same_text(const RedirectConfig& config) {
  for (const Family family : families) {
    const Ruleset ruleset = redirect_ruleset(config, family);
    const std::vector<Ruleset> again = parse_save(to_save(ruleset), family);
    fuzz::require(!again.empty() && diff(ruleset, again.front()).empty(),
                  "the rules are what their text says");
    fuzz::require(diff(ruleset, owned(ruleset, &ruleset)).empty(), "all rules are ours");
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const std::vector<const char*>& all = cni::known_annotation_keys();
  const auto [choice, text] = fuzz::choice_of(fuzz::text_of(data, size));
  cni::Pod pod{.name_space = "demo", .name = "web-0"};
  pod.annotations = cni::Annotations{{cni::status_annotation, R"({"containers":["istio-proxy"]})"}};
  (*pod.annotations)[all.at(choice % all.size())] = std::string(text);
  try {
    const cni::Decision decision = cni::decide({}, pod);
    if (decision.redirect) require_same_text(decision.config);
  } catch (const Error& error) {
    fuzz::require_message(error.what());
  }
  return 0;
}
