// SPDX-License-Identifier: GPL-2.0-or-later
// What the agent counts, in Prometheus' text format. Names and labels are an interface:
// docs/agent.md lists them. No label's values come from tenants, and each has a bounded number of
// them: what is not known counts as "other".
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "agent/install/installer.h"
#include "agent/repair/pod_state.h"
#include "cni/agent_message.h"

namespace sluice::agent {

// Thread-safe. Istio's names are exported beside ours where it has one.
class Metrics {
 public:
  Metrics();
  ~Metrics();
  Metrics(const Metrics&) = delete;
  Metrics(Metrics&&) = delete;
  Metrics& operator=(const Metrics&) = delete;
  Metrics& operator=(Metrics&&) = delete;

  // sluice_cni_requests_total{command,outcome,reason,code}, sluice_cni_request_seconds{command},
  // sluice_agent_backend{backend}: 1 for each backend that has written or read rules.
  void plugin_report(const cni::ReportMessage& report);
  // sluice_agent_lookups_total{source}, sluice_agent_lookup_seconds.
  void lookup(const char* source, double seconds);
  // sluice_agent_install_passes_total{outcome}, sluice_agent_install_seconds,
  // istio_cni_installs_total{result}. Waiting is no result in Istio's count.
  void install_pass(const InstallStatus& status, double seconds);
  // sluice_agent_install_ready, istio_cni_install_ready. Health knows: a pass that found a
  // half-written file has not undone anything.
  void install_ready(bool ready);
  // sluice_agent_install_undone_total{what}.
  void install_undone(const char* what);
  // sluice_agent_repairs_total{mode,result}, istio_cni_repair_pods_repaired_total{type,result}.
  void repair(const char* mode, const char* result);
  // sluice_agent_drift_total{condition}.
  void drift(const PodState& state);
  // sluice_agent_watch_restarts_total{reason}.
  void watch_restart(const std::string& reason);
  // sluice_agent_pods{condition}: gauges, set whole. Backends count as in plugin_report().
  void pods(const std::vector<PodState>& states);
  // sluice_agent_ready.
  void ready(bool ready);

  // All of them, and of the process sluice_build_info{version}, process_resident_memory_bytes,
  // process_start_time_seconds, process_cpu_seconds_total.
  std::string text() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace sluice::agent
