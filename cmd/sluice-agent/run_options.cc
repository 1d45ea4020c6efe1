// SPDX-License-Identifier: GPL-2.0-or-later
#include "cmd/sluice-agent/run_options.h"

#include <CLI/CLI.hpp>

#include "agent/install/entry.h"
#include "cmd/sluice-agent/install_options.h"
#include "rules/error.h"
#include "rules/ip.h"

namespace sluice::cmd {
namespace {

cni::LogLevel parse_level(const std::string& text) {
  for (const cni::LogLevel level : {cni::LogLevel::none, cni::LogLevel::error, cni::LogLevel::warn,
                                    cni::LogLevel::info, cni::LogLevel::debug}) {
    if (text == cni::to_string(level)) return level;
  }
  throw Error("--log-level " + quote(text) + " is not none, error, warn, info or debug");
}

LogFormat parse_format(const std::string& text) {
  if (text == "text") return LogFormat::text;
  if (text == "json") return LogFormat::json;
  throw Error("--log-format " + quote(text) + " is not text or json");
}

void refuse_bad_daemonset(const std::string& text) {
  const std::size_t slash = text.find('/');
  if (text.empty()) return;
  if (slash == 0 || slash == std::string::npos || slash + 1 == text.size() ||
      text.find('/', slash + 1) != std::string::npos) {
    throw Error("--daemonset " + quote(text) + " is not NAMESPACE/NAME");
  }
}

void add_repair_options(CLI::App& app, RunOptions& options) {
  app.add_option("--repair", options.repair_mode,
                 "for pods whose rules are not as wanted: repair, delete, label, report or off")
      ->envname("SLUICE_REPAIR");
  app.add_flag("--repair-reconfigure", options.repair.reconfigure,
               "also rewrite whole rule sets of another configuration")
      ->envname("SLUICE_REPAIR_RECONFIGURE");
  app.add_option("--repair-reconfigure-per-minute", options.repair.reconfigure_per_minute,
                 "at most so many of them")
      ->check(CLI::Range(1U, 100000U))
      ->envname("SLUICE_REPAIR_RECONFIGURE_PER_MINUTE");
  app.add_flag("--no-events", options.no_events, "write no Events on pods")
      ->envname("SLUICE_NO_EVENTS");
  app.add_option("--repair-interval", options.repair.interval_seconds,
                 "seconds between passes over all pods")
      ->check(CLI::Range(1U, 86400U))
      ->envname("SLUICE_REPAIR_INTERVAL");
  app.add_option("--repair-label-key", options.repair.label_key, "mode label: the label")
      ->envname("SLUICE_REPAIR_LABEL_KEY");
  app.add_option("--repair-label-value", options.repair.label_value, "its value")
      ->envname("SLUICE_REPAIR_LABEL_VALUE");
  app.add_option("--netns-dir", options.repair.netns_dirs,
                 "where the runtime keeps the namespaces' files, as mounted")
      ->envname("SLUICE_NETNS_DIR");
  app.add_option("--proc", options.repair.proc, "the host's /proc, as mounted")
      ->envname("SLUICE_PROC");
}

void add_api_options(CLI::App& app, RunOptions& options) {
  app.add_option("--api-server", options.api.url,
                 "https://HOST:PORT of the API server; default: KUBERNETES_SERVICE_HOST and _PORT")
      ->envname("SLUICE_API_SERVER");
  app.add_option("--token-file", options.api.token_file, "the service account's token")
      ->envname("SLUICE_TOKEN_FILE");
  app.add_option("--ca-file", options.api.ca_file, "the cluster's certificate authority")
      ->envname("SLUICE_CA_FILE");
}

}  // namespace

void add_run_options(CLI::App& app, RunOptions& options) {
  app.add_option("--node", options.node, "the node's name")->required()->envname("SLUICE_NODE");
  add_install_options(app, options.install);
  app.add_option("--socket", options.socket, "where plugins ask; the same path on the host")
      ->envname("SLUICE_SOCKET");
  app.add_option("--lookup-deadline-ms", options.lookup_deadline_ms,
                 "the most that asking the API server for one pod may take")
      ->check(CLI::Range(50U, 10000U))
      ->envname("SLUICE_LOOKUP_DEADLINE_MS");
  app.add_option("--daemonset", options.daemonset,
                 "NAMESPACE/NAME of our DaemonSet: its pods pass, its deletion uninstalls")
      ->envname("SLUICE_DAEMONSET");
  app.add_option("--pod-ip", options.pod_ip, "the address of /healthz, /readyz and /metrics")
      ->envname("SLUICE_POD_IP");
  app.add_option("--http-port", options.http_port, "their port; 0: none")
      ->envname("SLUICE_HTTP_PORT");
  app.add_option("--untaint", options.taints, "taints to take off the node when it is ready")
      ->envname("SLUICE_UNTAINT");
  app.add_option("--log-level", options.log_level, "none, error, warn, info or debug")
      ->envname("SLUICE_LOG_LEVEL");
  app.add_option("--log-format", options.log_format, "text or json")->envname("SLUICE_LOG_FORMAT");
  add_api_options(app, options);
  add_repair_options(app, options);
}

void finish(RunOptions& options) {
  options.level = parse_level(options.log_level);
  options.format = parse_format(options.log_format);
  options.repair.mode = agent::parse_repair_mode(options.repair_mode);
  options.repair.events = !options.no_events;
  refuse_bad_daemonset(options.daemonset);
  if (options.socket.empty() || options.socket.front() != '/') {
    throw Error("--socket " + quote(options.socket) + " is not an absolute path");
  }
  if (options.api.url.empty()) options.api.url = agent::ApiConfig::url_of_environment();
  options.install.entry =
      agent::plugin_entry(options.install.entry, options.socket, options.daemonset);
  options.plugin = cni::read_plugin_config(options.install.entry);
  try {
    parse_address(options.pod_ip);
  } catch (const Error& error) {
    throw Error(std::string("--pod-ip: ") + error.what());
  }
}

std::string http_address(const RunOptions& options) {
  const bool ipv6 = options.pod_ip.find(':') != std::string::npos;
  return (ipv6 ? "[" + options.pod_ip + "]" : options.pod_ip) + ":" +
         std::to_string(options.http_port);
}

}  // namespace sluice::cmd
