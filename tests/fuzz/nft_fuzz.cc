// SPDX-License-Identifier: GPL-2.0-or-later
// nf_tables' messages as the kernel would return them: what a pod's process has put into its
// tables.
#include <vector>

#include "rules/canonical.h"
#include "rules/error.h"
#include "rules/kernel/nft/acknowledgement.h"
#include "rules/kernel/nft/dump.h"
#include "rules/kernel/nft/table.h"
#include "rules/nft/text.h"
#include "rules/nft/translate.h"
#include "rules/recognition.h"
#include "rules/text.h"
#include "tests/fuzz/fuzz.h"

namespace {

using namespace sluice;  // NOLINT(google-build-using-namespace): a main file, nothing includes it

void try_to_print(const std::vector<Ruleset>& rulesets) {
  try {
    nft::to_text(nft::to_nft(rulesets, "sluice"));
  } catch (const Error& error) {  // an Opaque has no form, for one
    fuzz::require_message(error.what());
  }
}

void look_at(const std::uint8_t* data, std::size_t size) {
  for (const kernel::nft::View message : kernel::nft::split_messages({data, size})) {
    kernel::nft::read_acknowledgement(kernel::nft::read_message(message));
  }
  kernel::nft::Dump dump;
  dump.add_all({data, size});
  for (const kernel::nft::TableObject& object : dump.take()) {
    const std::vector<Ruleset> rulesets = nft::from_nft(kernel::nft::decode_table(object));
    for (const Ruleset& ruleset : rulesets) {
      fuzz::require(canonical(ruleset) == ruleset, "what is read is in canonical form");
      to_save(ruleset);
    }
    recognise({.rulesets = rulesets});
    try_to_print(rulesets);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  try {
    look_at(data, size);
  } catch (const Error& error) {
    fuzz::require_message(error.what());
  }
  return 0;
}
