// SPDX-License-Identifier: GPL-2.0-or-later
// CNI_ARGS and the other variables that a runtime fills in.
#include <string>

#include "cni/environment.h"
#include "rules/error.h"
#include "tests/fuzz/fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace sluice;  // NOLINT(google-build-using-namespace)
  const auto [choice, text] = fuzz::choice_of(fuzz::text_of(data, size));
  // A variable ends at its first NUL.
  const std::string value(text.substr(0, text.find('\0')));
  const auto variable = [&, which = choice % 5](const char* name) -> const char* {
    const std::string asked = name;
    if (asked == "CNI_COMMAND") return which == 1 ? value.c_str() : "ADD";
    if (asked == "CNI_CONTAINERID") return which == 2 ? value.c_str() : "c1";
    if (asked == "CNI_IFNAME") return which == 3 ? value.c_str() : "eth0";
    if (asked == "CNI_NETNS") return which == 4 ? value.c_str() : "/run/netns/c1";
    if (asked == "CNI_ARGS") return which == 0 ? value.c_str() : nullptr;
    if (asked == "CNI_PATH") return "/opt/cni/bin";
    return nullptr;
  };
  try {
    cni::read_environment(variable);
  } catch (const Error& error) {
    fuzz::require_message(error.what());
  }
  try {
    for (const auto& [key, word] : cni::parse_args(text)) {
      fuzz::require(key.size() + word.size() <= text.size(), "no argument is made up", key);
    }
  } catch (const Error& error) {
    fuzz::require_message(error.what());
  }
  return 0;
}
