// SPDX-License-Identifier: GPL-2.0-or-later
// What istio-iptables is asked to do: its command line, its environment, its defaults. Facts:
// Istio 1.32, tools/istio-iptables.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include "rules/redirect.h"

namespace sluice::cmd::istio_iptables {

// Istio's name of what nothing else maps to.
enum class IptablesBinary : std::uint8_t { any, legacy, nft };

struct Options {
  Options();

  // Without a flag nothing is captured and no port is excluded: the defaults that istio-cni has
  // come from the injector's arguments here.
  RedirectConfig config;

  // As given, complete() puts them into `config`.
  std::vector<std::uint32_t> proxy_uids = {};
  std::vector<std::uint32_t> proxy_gids = {};
  std::string envoy_user = "istio-proxy";
  bool redirect_dns = false;
  bool capture_all_dns = false;

  std::string network_namespace = {};  // a path; empty: our own
  bool cni_mode = false;               // the files are the node's, not the pod's
  bool cleanup_only = false;
  bool skip_rule_apply = false;
  bool dry_run = false;
  std::string dry_run_file = {};

  bool run_validation = false;
  std::uint16_t probe_port = 15002;
  std::chrono::milliseconds probe_timeout = std::chrono::seconds(5);

  bool native_nftables = false;
  IptablesBinary binary = IptablesBinary::any;
  bool help = false;
};

// The environment first, then the command line as pflag reads it (-p 1, -p1, -p=1, --flag 1,
// --flag=1, --bool, --bool=false). Every value is checked, those that another one overrides too.
// Reads no file. Throws Error naming the flag or the variable.
Options read_options(const std::vector<std::string>& arguments);

// Fills in what the files of the image tell: the proxy's user where no UID is given, the resolvers
// whose queries are captured. Throws Error.
void complete(Options& options);

// All flags and variables, for --help.
std::string usage();

}  // namespace sluice::cmd::istio_iptables
