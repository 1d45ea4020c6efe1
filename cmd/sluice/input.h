// SPDX-License-Identifier: GPL-2.0-or-later
// Where the redirection comes from that a subcommand prints, applies or checks: flags, a Pod
// manifest, or what a runtime sends on stdin.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "cni/pod.h"
#include "cni/settings.h"
#include "rules/ip.h"

namespace CLI {
class App;
}

namespace sluice::cmd {

// The options as given; CLI11 writes into it, so it must outlive the parsing.
struct InputOptions {
  std::string manifest;  // -f: a path or "-"
  bool cni_stdin = false;
  // In the order of the table of settings; empty optional: not given.
  std::vector<std::optional<std::string>> settings;
};

struct Input {
  cni::Decision decision;
  std::string subject;               // who, for messages
  std::vector<IpAddress> addresses;  // of the pod, as far as the input tells
  bool addresses_known = false;
};

void add_input_options(CLI::App& app, InputOptions& options);

// Precedence: flags, then annotations, then the configuration, then defaults. Flags alone always
// redirect. Throws Error naming the flag, annotation or key.
Input read_input(const InputOptions& options);

}  // namespace sluice::cmd
