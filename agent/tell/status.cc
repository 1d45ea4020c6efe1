// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/tell/status.h"

#include "cni/json.h"

namespace sluice::agent {
namespace {

cni::Json parts_json(const NodeStatus& status) {
  cni::Json parts = cni::Json::object();
  for (const auto& [name, part] : status.parts) {
    parts[name] = {{"ready", part.ready}, {"why", part.why}};
  }
  return parts;
}

cni::Json pods_json(const NodeStatus& status) {
  cni::Json pods = cni::Json::array();
  for (const PodState& pod : status.pods) {
    pods.push_back({{"namespace", pod.name_space},
                    {"name", pod.name},
                    {"uid", pod.uid},
                    {"condition", to_string(pod.condition)},
                    {"why", pod.why},
                    {"backend", pod.backend},
                    {"repaired", pod.repaired}});
  }
  return pods;
}

}  // namespace

std::string print_status(const NodeStatus& status) {
  return cni::to_line({{"version", 1},
                       {"node", status.node},
                       {"agentVersion", status.version},
                       {"ready", status.ready},
                       {"parts", parts_json(status)},
                       {"confFile", status.conf_file},
                       {"backend", status.backend},
                       {"repairMode", status.repair_mode},
                       {"pods", pods_json(status)}});
}

}  // namespace sluice::agent
