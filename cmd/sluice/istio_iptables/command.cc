// SPDX-License-Identifier: GPL-2.0-or-later
// sluice istio-iptables: in place of Istio's init containers.
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <memory>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "cmd/sluice/commands.h"
#include "cmd/sluice/istio_iptables/options.h"
#include "cmd/sluice/istio_iptables/validation.h"
#include "cmd/sluice/pod_network.h"
#include "cmd/stdio.h"
#include "rules/consistency.h"
#include "rules/error.h"
#include "rules/kernel/fd.h"
#include "rules/kernel/link.h"
#include "rules/kernel/netns.h"
#include "rules/kernel/pod_namespace.h"
#include "rules/redirect.h"
#include "rules/text.h"

namespace sluice::cmd {
namespace {

using istio_iptables::IptablesBinary;
using istio_iptables::Options;

constexpr const char* own_netns_path = "/proc/thread-self/ns/net";

// Istio's, which its repair controller looks for.
constexpr int exit_invalid = 126;

[[noreturn]] void refuse(const Options& options, const NotNetns& no_netns) {
  throw Error("--network-namespace " + quote(options.network_namespace) + " " + no_netns.reason);
}

std::unique_ptr<PodNamespace> open_namespace(const Options& options) {
  const std::string& path = options.network_namespace;
  OpenedNamespace opened = kernel::open_pod_namespace(path.empty() ? own_netns_path : path);
  if (const NotNetns* reason = std::get_if<NotNetns>(&opened)) refuse(options, *reason);
  return std::get<std::unique_ptr<PodNamespace>>(std::move(opened));
}

void write_file(const std::string& path, const std::string& text) {
  constexpr mode_t mode = 0644;
  const kernel::Fd fd(open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode));
  if (!fd || !write_all(fd.get(), text)) throw Error(errno, "write " + quote(path));
}

void print_rules(const Options& options, const Interception& wanted) {
  const std::string text = to_text(wanted.rulesets, to_save);
  if (!options.dry_run_file.empty()) write_file(options.dry_run_file, text);
  if (!write_all(STDOUT_FILENO, text)) throw Error(errno, "write to stdout");
}

// What cleans up does so in both interfaces, whichever there are.
BackendSettings backend_settings(const Options& options) {
  if (!options.native_nftables || options.cleanup_only) return {};
  return {.choice = BackendChoice::nftables};
}

void write_rules(const Options& options, PodNamespace& pod, const PodNetwork& network) {
  const bool none = options.config.mode == InterceptionMode::none;
  const Interception wanted =
      options.cleanup_only ? Interception{} : interception(options.config, network);
  if (options.dry_run) return print_rules(options, wanted);
  if (options.cleanup_only) return print_notices(pod.backend(backend_settings(options)).remove());
  if (none) return write_log("sluice: nothing is written: the interception mode is NONE");
  warn_of_uncaptured(options.config, network);
  print_notices(pod.backend(backend_settings(options)).apply(wanted));
}

// Within the namespace.
int validate_here(const Options& options) {
  using istio_iptables::TestResult;
  const std::vector<TestResult> results = istio_iptables::validate(
      options.config, kernel::list_links(),
      {.probe_port = options.probe_port, .timeout = options.probe_timeout});
  std::string text;
  for (const TestResult& result : results) text += to_string(result) + "\n";
  // The rules have stdout for themselves.
  const int fd = options.dry_run ? STDERR_FILENO : STDOUT_FILENO;
  if (!write_all(fd, text)) throw Error(errno, "write the results of the validation");
  if (is_valid(results)) return EXIT_SUCCESS;
  const auto failed = std::count_if(results.begin(), results.end(), [](const TestResult& result) {
    return result.verdict == istio_iptables::Verdict::failed;
  });
  const std::string reason = failed == 0 ? "nothing could be tested"
                                         : std::to_string(failed) + " of " +
                                               std::to_string(results.size()) + " tests failed";
  write_all(STDERR_FILENO, "sluice: validation failed: " + reason + "\n");
  return exit_invalid;
}

int run_validation(const Options& options) {
  if (options.network_namespace.empty()) return validate_here(options);
  int status = EXIT_SUCCESS;
  const auto opened = kernel::Netns::open(options.network_namespace);
  if (const NotNetns* reason = std::get_if<NotNetns>(&opened)) refuse(options, *reason);
  std::get<kernel::Netns>(opened).run([&] { status = validate_here(options); });
  return status;
}

}  // namespace

int run_istio_iptables(const std::vector<std::string>& arguments) {
  Options options = istio_iptables::read_options(arguments);
  if (options.help) {
    if (!write_all(STDOUT_FILENO, istio_iptables::usage())) throw Error(errno, "write to stdout");
    return EXIT_SUCCESS;
  }
  // What only cleans up, or does nothing, must not fail for what it does not need.
  const bool needs_config =
      options.run_validation || (!options.skip_rule_apply && !options.cleanup_only);
  if (needs_config) {
    complete(options);
    refuse_contradictions(options.config);
  }
  if (options.binary == IptablesBinary::nft && !options.native_nftables) {
    write_log(
        "sluice: warn: iptables-nft is asked for: no binary is used, --native-nftables writes "
        "nftables' rules");
  }
  if (!options.skip_rule_apply) {
    const std::unique_ptr<PodNamespace> pod = open_namespace(options);
    write_rules(options, *pod, network_of(*pod));
  }
  return options.run_validation ? run_validation(options) : EXIT_SUCCESS;
}

}  // namespace sluice::cmd
