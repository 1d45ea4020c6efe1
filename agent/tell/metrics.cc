// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/tell/metrics.h"

#include <prometheus/counter.h>
#include <prometheus/family.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>
#include <prometheus/text_serializer.h>

#include <map>
#include <mutex>
#include <sstream>

#include "agent/tell/label_values.h"
#include "agent/tell/process_usage.h"
#include "cni/version.h"

namespace sluice::agent {
namespace {

using Counters = prometheus::Family<prometheus::Counter>;
using Gauges = prometheus::Family<prometheus::Gauge>;
using Histograms = prometheus::Family<prometheus::Histogram>;

Counters& counters(prometheus::Registry& registry, const char* name, const char* help) {
  return prometheus::BuildCounter().Name(name).Help(help).Register(registry);
}

Gauges& gauges(prometheus::Registry& registry, const char* name, const char* help) {
  return prometheus::BuildGauge().Name(name).Help(help).Register(registry);
}

Histograms& histograms(prometheus::Registry& registry, const char* name, const char* help) {
  return prometheus::BuildHistogram().Name(name).Help(help).Register(registry);
}

// From a look-up in the cache to a GET at its deadline.
const prometheus::Histogram::BucketBoundaries& seconds_buckets() {
  static const prometheus::Histogram::BucketBoundaries buckets{
      0.0005, 0.001, 0.002, 0.003, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5};
  return buckets;
}

constexpr auto all_conditions = {
    PodCondition::passed,  PodCondition::waiting,  PodCondition::intact,     PodCondition::missing,
    PodCondition::damaged, PodCondition::outdated, PodCondition::unreadable, PodCondition::invalid};

const char* to_word(InstallOutcome outcome) {
  switch (outcome) {
    case InstallOutcome::installed:
      return "installed";
    case InstallOutcome::waiting:
      return "waiting";
    case InstallOutcome::blocked:
      return "blocked";
    case InstallOutcome::failed:
      return "failed";
  }
  return other_value;
}

}  // namespace

struct Metrics::State {
  prometheus::Registry registry;

  Counters& requests =
      counters(registry, "sluice_cni_requests_total", "Calls of the plugin that it reported.");
  Histograms& request_seconds = histograms(registry, "sluice_cni_request_seconds",
                                           "What a call took, as the plugin measured it.");
  Gauges& backend = gauges(registry, "sluice_agent_backend",
                           "1 for each backend that wrote or read rules on this node.");
  Counters& lookups =
      counters(registry, "sluice_agent_lookups_total",
               "Pods asked for by the plugin, by what knew them: cache, api or none.");
  prometheus::Histogram& lookup_seconds =
      histograms(registry, "sluice_agent_lookup_seconds", "From a question to its answer.")
          .Add({}, seconds_buckets());
  Counters& install_passes =
      counters(registry, "sluice_agent_install_passes_total", "Passes over the installation.");
  prometheus::Histogram& install_seconds =
      histograms(registry, "sluice_agent_install_seconds", "What such a pass took.")
          .Add({}, seconds_buckets());
  prometheus::Gauge& install_ready =
      gauges(registry, "sluice_agent_install_ready",
             "1 if plugin and entry are in place, as /readyz judges them.")
          .Add({});
  Counters& install_undone = counters(registry, "sluice_agent_install_undone_total",
                                      "Times that somebody undid the installation.");
  Counters& repairs = counters(registry, "sluice_agent_repairs_total", "Actions on pods.");
  Counters& drift =
      counters(registry, "sluice_agent_drift_total", "Pods found not to be as they should.");
  Counters& watch_restarts = counters(registry, "sluice_agent_watch_restarts_total",
                                      "Times that the watch on pods was begun anew.");
  Gauges& pods = gauges(registry, "sluice_agent_pods", "Pods of this node by condition.");
  prometheus::Gauge& ready =
      gauges(registry, "sluice_agent_ready", "1 if this node is ready for pods.").Add({});

  Counters& istio_installs = counters(registry, "istio_cni_installs_total",
                                      "As Istio counts: passes over the installation by result.");
  prometheus::Gauge& istio_install_ready =
      gauges(registry, "istio_cni_install_ready", "As sluice_agent_install_ready.").Add({});
  Counters& istio_repairs = counters(registry, "istio_cni_repair_pods_repaired_total",
                                     "As Istio counts: actions on pods that were not redirected.");

  prometheus::Gauge& resident_bytes =
      gauges(registry, "process_resident_memory_bytes", "Resident memory in bytes.").Add({});
  prometheus::Gauge& start_seconds =
      gauges(registry, "process_start_time_seconds", "Start, seconds since the Unix epoch.")
          .Add({});
  prometheus::Counter& cpu_seconds =
      counters(registry, "process_cpu_seconds_total", "User and system CPU time in seconds.")
          .Add({});

  // The series of a report: its labels come from another process.
  std::mutex mutex = {};
  WordSet reasons{64};
  WordSet codes{64};
  WordSet restart_reasons{16};

  void count_backend(const std::string& name) {
    if (name.empty()) return;
    backend.Add({{"backend", one_of({"xtables", "nftables"}, name)}}).Set(1);
  }

  void take_usage() {
    const ProcessUsage usage = process_usage();
    const std::lock_guard lock(mutex);
    resident_bytes.Set(usage.resident_bytes);
    start_seconds.Set(usage.start_seconds);
    // A Counter can only be added to, and two readers may come in either order.
    const double more = usage.cpu_seconds - cpu_seconds.Value();
    if (more > 0) cpu_seconds.Increment(more);
  }
};

Metrics::Metrics() : state_(std::make_unique<State>()) {
  gauges(state_->registry, "sluice_build_info", "1; the label says which agent this is.")
      .Add({{"version", cni::plugin_version()}})
      .Set(1);
  // A gauge that is not there cannot be told from an agent that is not there.
  pods({});
}

Metrics::~Metrics() = default;

void Metrics::plugin_report(const cni::ReportMessage& report) {
  const std::string command =
      one_of({"ADD", "DEL", "CHECK", "GC", "STATUS", "VERSION"}, report.command);
  const bool known_code = report.code >= 0 && report.code <= 999;
  prometheus::Labels labels{
      {"command", command},
      {"outcome", one_of({"redirected", "passed", "failed", "done"}, report.outcome)}};
  {
    const std::lock_guard lock(state_->mutex);
    labels["reason"] = state_->reasons.admit(report.reason);
    labels["code"] = known_code ? state_->codes.admit(std::to_string(report.code)) : other_value;
  }
  state_->requests.Add(labels).Increment();
  state_->request_seconds.Add({{"command", command}}, seconds_buckets())
      .Observe(static_cast<double>(report.microseconds) / 1e6);
  state_->count_backend(report.backend);
}

void Metrics::lookup(const char* source, double seconds) {
  state_->lookups.Add({{"source", one_of({"cache", "api", "none"}, source)}}).Increment();
  state_->lookup_seconds.Observe(seconds);
}

void Metrics::install_pass(const InstallStatus& status, double seconds) {
  const bool installed = status.outcome == InstallOutcome::installed;
  state_->install_passes.Add({{"outcome", to_word(status.outcome)}}).Increment();
  state_->install_seconds.Observe(seconds);
  if (status.outcome == InstallOutcome::waiting) return;
  const char* failure =
      status.binary_failed ? "COPY_BINARIES_FAILURE" : "CREATE_CNI_CONFIG_FAILURE";
  state_->istio_installs.Add({{"result", installed ? "SUCCESS" : failure}}).Increment();
}

void Metrics::install_ready(bool ready) {
  state_->install_ready.Set(ready ? 1 : 0);
  state_->istio_install_ready.Set(ready ? 1 : 0);
}

void Metrics::install_undone(const char* what) {
  state_->install_undone.Add({{"what", one_of({"entry", "binary"}, what)}}).Increment();
}

void Metrics::repair(const char* mode, const char* result) {
  const std::string kind = one_of({"repair", "delete", "label", "reconfigure"}, mode);
  const std::string outcome = one_of({"success", "skip", "fail"}, result);
  state_->repairs.Add({{"mode", kind}, {"result", outcome}}).Increment();
  if (one_of({"repair", "delete", "label"}, kind) == other_value) return;
  state_->istio_repairs.Add({{"type", kind}, {"result", outcome}}).Increment();
}

void Metrics::drift(const PodState& state) {
  state_->drift.Add({{"condition", to_string(state.condition)}}).Increment();
}

void Metrics::watch_restart(const std::string& reason) {
  const std::lock_guard lock(state_->mutex);
  state_->watch_restarts.Add({{"reason", state_->restart_reasons.admit(reason)}}).Increment();
}

void Metrics::pods(const std::vector<PodState>& states) {
  std::map<PodCondition, double> counts;
  for (const PodState& pod : states) {
    counts[pod.condition] += 1;
    state_->count_backend(pod.backend);
  }
  for (const PodCondition condition : all_conditions) {
    state_->pods.Add({{"condition", to_string(condition)}}).Set(counts[condition]);
  }
}

void Metrics::ready(bool ready) {
  state_->ready.Set(ready ? 1 : 0);
}

std::string Metrics::text() const {
  state_->take_usage();
  std::ostringstream out;
  prometheus::TextSerializer().Serialize(out, state_->registry.Collect());
  return out.str();
}

}  // namespace sluice::agent
