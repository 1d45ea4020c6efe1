// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/install/entry.h"

#include "agent/install/installer.h"
#include "cni/config.h"
#include "cni/pod.h"
#include "rules/error.h"

namespace sluice::agent {

namespace {

// `configured` as an object of our type.
cni::Json begun(const cni::Json& configured) {
  cni::Json entry = configured.is_null() ? cni::Json::object() : configured;
  if (!entry.is_object()) throw Error("the plugin's entry is not a JSON object");
  if (entry.contains("type") && entry["type"] != plugin_type) {
    throw Error("the plugin's entry is of type " + quote(cni::to_line(entry["type"])));
  }
  entry["type"] = plugin_type;
  return entry;
}

void refuse_mistakes(const cni::Json& entry) {
  const cni::PluginConfig read = cni::read_plugin_config(entry);
  if (!read.problems.empty()) throw Error("the plugin's entry: " + read.problems.front());
  if (!read.unknown_keys.empty()) {
    throw Error("the plugin's entry: key " + quote(read.unknown_keys.front()) + " is unknown");
  }
}

cni::Json default_capabilities() {
  return {{cni::annotations_capability, true}, {"dns", true}};
}

}  // namespace

cni::Json plugin_entry(const cni::Json& configured, const std::string& socket,
                       const std::string& daemonset) {
  cni::Json entry = begun(configured);
  for (const char* key : {"capabilities", "agentSocket", "agentDaemonSet"}) {
    if (entry.contains(key)) {
      throw Error(std::string("the plugin's entry has a key ") + key +
                  ": the agent sets it itself");
    }
  }
  entry["capabilities"] = default_capabilities();
  entry["agentSocket"] = socket;
  if (!daemonset.empty()) entry["agentDaemonSet"] = daemonset;
  refuse_mistakes(entry);
  return entry;
}

cni::Json entry_by_hand(const cni::Json& configured) {
  cni::Json entry = begun(configured);
  if (!entry.contains("capabilities")) entry["capabilities"] = default_capabilities();
  refuse_mistakes(entry);
  return entry;
}

}  // namespace sluice::agent
