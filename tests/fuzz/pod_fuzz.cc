// SPDX-License-Identifier: GPL-2.0-or-later
// A Pod: as a manifest, as the API server sends it, as the agent's answer.
#include <string>

#include "agent/kube/list_scanner.h"
#include "agent/kube/pod_record.h"
#include "cmd/sluice/manifest.h"
#include "cni/agent_message.h"
#include "cni/pod.h"
#include "cni/pod_object.h"
#include "rules/error.h"
#include "tests/fuzz/fuzz.h"

namespace {

using namespace sluice;  // NOLINT(google-build-using-namespace): a main file, nothing includes it

void decide(const cni::Json& object) {
  cni::decide({}, cni::read_pod_object(object).pod);
}

void try_one(std::uint8_t choice, std::string_view text) {
  switch (choice % 5) {
    case 0:
      return decide(cmd::parse_manifest(std::string(text)));
    case 1:
      return decide(cni::parse_json(agent::read_pod_record(agent::parse_pod(text)).object, "it"));
    case 2:
      agent::parse_watch_event(text);
      return;
    case 3: {
      agent::ListScanner scanner([](std::string_view item) { agent::parse_pod(item); });
      // Cut where it hurts.
      const std::size_t half = text.size() / 2;
      scanner.feed(text.substr(0, half));
      scanner.feed(text.substr(half));
      scanner.finish();
      return;
    }
    default:
      cni::parse_lookup_answer(text);
      cni::parse_agent_request(text);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto [choice, text] = fuzz::choice_of(fuzz::text_of(data, size));
  try {
    try_one(choice, text);
  } catch (const Error& error) {
    fuzz::require_message(error.what());
  }
  return 0;
}
