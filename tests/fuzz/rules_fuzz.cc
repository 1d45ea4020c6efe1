// SPDX-License-Identifier: GPL-2.0-or-later
// The text of iptables-save, and all that looks at live rules: ownership, comparison, recognition.
#include <string>
#include <vector>

#include "rules/diff.h"
#include "rules/error.h"
#include "rules/ownership.h"
#include "rules/recognition.h"
#include "rules/text.h"
#include "tests/fuzz/fuzz.h"

namespace {

using namespace sluice;  // NOLINT(google-build-using-namespace): a main file, nothing includes it

void look_at(const std::vector<Ruleset>& rulesets) {
  const std::vector<Ruleset> again = parse_save(to_text(rulesets, to_save));
  Interception live;
  for (const Ruleset& ruleset : rulesets) {
    if (ruleset.tables.empty()) continue;
    live.rulesets.push_back(ruleset);
    fuzz::require(diff(ruleset, ruleset).empty(), "rules are equal to themselves");
    owned(ruleset, &ruleset);
    owned(owned(ruleset));
    to_restore(ruleset);
  }
  for (const Ruleset& ruleset : again) {
    for (const Ruleset& before : rulesets) {
      if (before.family != ruleset.family) continue;
      fuzz::require(diff(before, ruleset).empty(), "printed and read they are the same");
    }
  }
  to_json(rulesets);
  recognise(live);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  try {
    look_at(parse_save(fuzz::text_of(data, size)));
  } catch (const Error& error) {
    fuzz::require_message(error.what());
  }
  return 0;
}
