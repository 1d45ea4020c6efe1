// SPDX-License-Identifier: GPL-2.0-or-later
// The whole plugin on any stdin: all verbs, in a namespace in memory.
#include <array>
#include <map>
#include <memory>
#include <string>

#include "cni/json.h"
#include "cni/plugin.h"
#include "tests/fake_backend.h"
#include "tests/fuzz/fuzz.h"

namespace {

using namespace sluice;  // NOLINT(google-build-using-namespace): a main file, nothing includes it

constexpr std::array<const char*, 6> verbs{"ADD", "CHECK", "DEL", "GC", "STATUS", "VERSION"};

void require_document(const cni::Outcome& outcome) {
  if (outcome.out.empty()) return;
  const cni::Json document = cni::Json::parse(outcome.out, nullptr, false);
  fuzz::require(document.is_object(), "stdout is one JSON object", outcome.out);
  // A result that is passed on may have anything under that key.
  if (outcome.exit_status != 0) fuzz::require_message(document.at("msg").get<std::string>());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto [choice, text] = fuzz::choice_of(fuzz::text_of(data, size));
  std::map<std::string, std::string> variables{
      {"CNI_COMMAND", verbs.at(choice % verbs.size())},
      {"CNI_CONTAINERID", "c1"},
      {"CNI_NETNS", "/run/netns/c1"},
      {"CNI_IFNAME", "eth0"},
      {"CNI_PATH", "/opt/cni/bin"},
      {"CNI_ARGS", "IgnoreUnknown=1;K8S_POD_NAMESPACE=demo;K8S_POD_NAME=web-0"}};
  FakePod pod;
  const cni::Outcome outcome =
      cni::run({.get_env =
                    [&](const char* name) {
                      const auto found = variables.find(name);
                      return found == variables.end() ? nullptr : found->second.c_str();
                    },
                .read_stdin = [text = text] { return std::string(text); },
                .open_namespace = [&](const std::string&) -> OpenedNamespace {
                  return std::make_unique<FakeNamespace>(pod);
                }});
  require_document(outcome);
  fuzz::require(outcome.exit_status == 0 || !outcome.out.empty(), "a failure says why");
  for (const cni::LogLine& line : outcome.log) {
    fuzz::require(line.text.find('\n') == std::string::npos, "a log line is one line", line.text);
  }
  return 0;
}
