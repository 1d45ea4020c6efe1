// SPDX-License-Identifier: GPL-2.0-or-later
#include "cni/pod_object.h"

#include <string>

#include "cni/object.h"
#include "rules/error.h"

namespace sluice::cni {
namespace {

std::vector<IpAddress> read_addresses(const Json& status) {
  std::vector<IpAddress> addresses;
  const Json& list = member(status, "podIPs");
  if (list.is_array()) {
    for (const Json& entry : list) {
      addresses.push_back(parse_address(string_or(member(entry, "ip"), "", "status.podIPs[].ip")));
    }
  }
  const Json& single = member(status, "podIP");
  if (addresses.empty() && !single.is_null()) {
    addresses.push_back(parse_address(string_or(single, "", "status.podIP")));
  }
  return addresses;
}

}  // namespace

PodObject read_pod_object(const Json& object) {
  const std::string kind = string_or(member(object, "kind"), "", "kind");
  if (kind != "Pod") throw Error("the manifest is of kind " + quote(kind) + ", not a Pod");
  const Json& metadata = member(object, "metadata");
  PodObject read;
  read.pod.annotations = known_annotations(member(metadata, "annotations"), "metadata.annotations");
  read.pod.name = string_or(member(metadata, "name"), "pod", "metadata.name");
  read.pod.name_space = string_or(member(metadata, "namespace"), "default", "metadata.namespace");
  read.pod.facts = read_pod_facts(object);
  read.addresses = read_addresses(member(object, "status"));
  return read;
}

}  // namespace sluice::cni
