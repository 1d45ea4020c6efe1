// SPDX-License-Identifier: GPL-2.0-or-later
// apply_bench NETNS xtables|nftables EXCLUSIONS: writes the default rules of an IPv4 pod with so
// many excluded CIDRs into the namespace and prints how many microseconds that took in this
// process, read-back included.
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <memory>
#include <string>
#include <variant>
#include <vector>

#include "rules/backend.h"
#include "rules/error.h"
#include "rules/kernel/pod_namespace.h"
#include "rules/redirect.h"

namespace sluice {
namespace {

// No two of them adjoin: merged they are as many.
std::vector<Cidr> exclusions(unsigned count) {
  std::vector<Cidr> all;
  for (unsigned i = 0; i < count; ++i) {
    all.push_back(
        parse_cidr("11." + std::to_string(i / 100) + "." + std::to_string(i % 100 * 2) + ".0/24"));
  }
  return all;
}

void run(const std::string& netns, const std::string& backend, unsigned count) {
  RedirectConfig config;
  config.exclude_outbound_cidrs = exclusions(count);
  const Interception wanted{.rulesets = {redirect_ruleset(config, Family::ipv4)}};
  OpenedNamespace opened = kernel::open_pod_namespace(netns);
  auto* pod = std::get_if<std::unique_ptr<PodNamespace>>(&opened);
  if (pod == nullptr) throw Error(quote(netns) + " is no network namespace");
  const BackendSettings settings{.choice = backend == "nftables" ? BackendChoice::nftables
                                                                 : BackendChoice::xtables};
  const auto start = std::chrono::steady_clock::now();
  (*pod)->backend(settings).apply(wanted);
  const auto took = std::chrono::steady_clock::now() - start;
  std::printf("%lld\n", static_cast<long long>(
                            std::chrono::duration_cast<std::chrono::microseconds>(took).count()));
}

}  // namespace
}  // namespace sluice

int main(int argc, char** argv) {
  if (argc != 4) return 2;
  try {
    sluice::run(argv[1], argv[2], static_cast<unsigned>(std::atoi(argv[3])));
  } catch (const std::exception& error) {
    std::fprintf(stderr, "apply_bench: %s\n", error.what());
    return 1;
  }
}
