// SPDX-License-Identifier: GPL-2.0-or-later
#include "cni/reason.h"

namespace sluice::cni {

const char* to_string(Reason reason) {
  switch (reason) {
    case Reason::injected:
      return "injected";
    case Reason::redirect_all:
      return "redirect-all";
    case Reason::agent_pod:
      return "agent-pod";
    case Reason::excluded_namespace:
      return "excluded-namespace";
    case Reason::host_network:
      return "host-network";
    case Reason::not_kubernetes:
      return "not-kubernetes";
    case Reason::annotations_missing:
      return "annotations-missing";
    case Reason::inject_false:
      return "inject-false";
    case Reason::no_status:
      return "no-status";
    case Reason::other_template:
      return "other-template";
    case Reason::istio_init:
      return "istio-init";
    case Reason::no_sidecar:
      return "no-sidecar";
    case Reason::proxyless:
      return "proxyless";
    case Reason::other_proxy:
      return "other-proxy";
    case Reason::mode_none:
      return "mode-none";
  }
  return "";
}

}  // namespace sluice::cni
