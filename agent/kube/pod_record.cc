// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/kube/pod_record.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "agent/kube/json_shape.h"
#include "cni/object.h"
#include "cni/pod.h"
#include "cni/pod_facts.h"
#include "cni/proxy_env.h"
#include "rules/error.h"

namespace sluice::agent {
namespace {

using cni::Json;
using cni::member;
using cni::string_of;

// Kubernetes' own annotations of a static pod's mirror, k8s.io/kubernetes/pkg/kubelet/types.
constexpr const char* mirror_annotation = "kubernetes.io/config.mirror";
constexpr const char* hash_annotation = "kubernetes.io/config.hash";
// Istio's container that tests the interception, and how it ends if there is none.
constexpr const char* validation_container = "istio-validation";
constexpr int not_redirected_exit = 126;

Shape annotation_shape(const Shape& scalar, bool of_object) {
  Shape shape;
  for (const char* key : cni::known_annotation_keys()) shape.members.emplace_back(key, &scalar);
  if (!of_object) {
    shape.members.emplace_back(mirror_annotation, &scalar);
    shape.members.emplace_back(hash_annotation, &scalar);
  }
  return shape;
}

// A Pod; `of_object` leaves out what is not in PodRecord::object.
class PodShape {
 public:
  explicit PodShape(bool of_object) : annotations_(annotation_shape(scalar_, of_object)) {
    metadata_.members = {{"name", &scalar_},
                         {"namespace", &scalar_},
                         {"annotations", &annotations_},
                         {"labels", &labels_}};
    spec_.members = {{"hostNetwork", &scalar_},
                     {"securityContext", &ids_},
                     {"containers", &containers_},
                     {"initContainers", &containers_}};
    status_.members = {{"podIP", &scalar_}, {"podIPs", &addresses_}};
    pod_.members = {{"kind", &scalar_},
                    {"apiVersion", &scalar_},
                    {"metadata", &metadata_},
                    {"spec", &spec_},
                    {"status", &status_}};
    if (!of_object) add_what_records_need();
  }
  PodShape(const PodShape&) = delete;
  PodShape(PodShape&&) = delete;
  PodShape& operator=(const PodShape&) = delete;
  PodShape& operator=(PodShape&&) = delete;
  ~PodShape() = default;

  const Shape& get() const { return pod_; }
  const Shape& scalar() const { return scalar_; }

 private:
  void add_what_records_need() {
    for (const char* key : {"uid", "resourceVersion", "deletionTimestamp"}) {
      metadata_.members.emplace_back(key, &scalar_);
    }
    metadata_.members.emplace_back("ownerReferences", &owners_);
    spec_.members.emplace_back("nodeName", &scalar_);
    status_.members.emplace_back("phase", &scalar_);
    status_.members.emplace_back("containerStatuses", &statuses_);
    status_.members.emplace_back("initContainerStatuses", &statuses_);
    // Of a Status in a watch.
    for (const char* key : {"code", "reason", "message"}) pod_.members.emplace_back(key, &scalar_);
  }

  Shape scalar_ = {};
  Shape annotations_;
  Shape labels_{.members = {{"sidecar.istio.io/inject", &scalar_}}};
  Shape ids_{.members = {{"runAsUser", &scalar_}, {"runAsGroup", &scalar_}}};
  Shape args_{.elements = &scalar_};
  Shape variable_{.members = {{"name", &scalar_}, {"value", &scalar_}, {"valueFrom", &scalar_}}};
  Shape env_{.elements = &variable_};
  Shape container_{.members = {{"name", &scalar_},
                               {"args", &args_},
                               {"env", &env_},
                               {"securityContext", &ids_},
                               {"restartPolicy", &scalar_}}};
  Shape containers_{.elements = &container_};
  Shape address_{.members = {{"ip", &scalar_}}};
  Shape addresses_{.elements = &address_};
  Shape exit_{.members = {{"exitCode", &scalar_}}};
  Shape state_{.members = {{"terminated", &exit_}}};
  Shape container_status_{
      .members = {{"name", &scalar_}, {"state", &state_}, {"lastState", &state_}}};
  Shape statuses_{.elements = &container_status_};
  Shape owner_{.members = {{"controller", &scalar_}}};
  Shape owners_{.elements = &owner_};
  Shape metadata_ = {};
  Shape spec_ = {};
  Shape status_ = {};
  Shape pod_ = {};
};

const PodShape& record_shape() {
  static const PodShape shape(false);
  return shape;
}

const PodShape& object_shape() {
  static const PodShape shape(true);
  return shape;
}

// Variables that nobody reads may be secrets.
void keep_proxy_variables(Json& container) {
  const auto env = container.find("env");
  if (env == container.end() || !env->is_array()) return;
  Json kept = Json::array();
  for (Json& variable : *env) {
    const Json& name = member(variable, "name");
    if (name.is_string() && !cni::is_proxy_variable(name.get_ref<const std::string&>())) continue;
    kept.push_back(std::move(variable));
  }
  *env = std::move(kept);
}

// Of a container other than the sidecar only its name counts; what has no name that could be read
// stays as far as read_pod_facts() would complain of it.
void reduce_container(Json& container) {
  if (!container.is_object()) return;
  const Json name = member(container, "name");
  if (name.is_string() && name.get_ref<const std::string&>() == cni::sidecar_container) {
    keep_proxy_variables(container);
    return;
  }
  container = Json::object();
  container["name"] = name;
}

void reduce_containers(Json& pod) {
  const auto spec = pod.find("spec");
  if (spec == pod.end() || !spec->is_object()) return;
  for (const char* key : {"containers", "initContainers"}) {
    const auto list = spec->find(key);
    if (list == spec->end() || !list->is_array()) continue;
    for (Json& container : *list) reduce_container(container);
  }
}

void complete_pod(Json& pod) {
  if (!pod.is_object()) return;
  if (member(pod, "kind").is_null()) pod["kind"] = "Pod";
  if (member(pod, "apiVersion").is_null()) pod["apiVersion"] = "v1";
  reduce_containers(pod);
}

std::string required(const Json& metadata, const char* key) {
  std::string text = string_of(member(metadata, key));
  if (text.empty()) throw Error(std::string("a Pod has no metadata.") + key);
  return text;
}

std::vector<IpAddress> addresses_of(const Json& status) {
  std::vector<IpAddress> addresses;
  const auto add = [&](const Json& text) {
    if (!text.is_string()) return;
    try {
      addresses.push_back(parse_address(text.get_ref<const std::string&>()));
    } catch (const Error&) {
      return;  // read_pod_object() names it
    }
  };
  const Json& list = member(status, "podIPs");
  if (list.is_array()) {
    for (const Json& entry : list) add(member(entry, "ip"));
  }
  if (addresses.empty()) add(member(status, "podIP"));
  return addresses;
}

bool has_ended_so(const Json& state) {
  return member(member(state, "terminated"), "exitCode") == not_redirected_exit;
}

bool ended_unredirected(const Json& status) {
  return string_of(member(status, "name")) == validation_container &&
         (has_ended_so(member(status, "state")) || has_ended_so(member(status, "lastState")));
}

bool has_failed_validation(const Json& status) {
  const auto among = [&](const char* key) {
    const Json& list = member(status, key);
    return list.is_array() && std::any_of(list.begin(), list.end(), ended_unredirected);
  };
  return among("initContainerStatuses") || among("containerStatuses");
}

bool is_finished(const Json& pod) {
  const std::string phase = string_of(member(member(pod, "status"), "phase"));
  return phase == "Succeeded" || phase == "Failed" ||
         !member(member(pod, "metadata"), "deletionTimestamp").is_null();
}

// Where that cannot be read somebody may own it.
bool has_controller(const Json& owners) {
  if (!owners.is_array()) return !owners.is_null();
  return std::any_of(owners.begin(), owners.end(),
                     [](const Json& owner) { return member(owner, "controller") == true; });
}

std::string mirror_uid_of(const Json& annotations) {
  if (string_of(member(annotations, mirror_annotation)).empty()) return "";
  return string_of(member(annotations, hash_annotation));
}

}  // namespace

Json parse_pod(std::string_view text) {
  Json pod = parse_shaped(text, record_shape().get(), "a Pod");
  complete_pod(pod);
  return pod;
}

Json parse_watch_event(std::string_view line) {
  static const Shape shape{
      .members = {{"type", &record_shape().scalar()}, {"object", &record_shape().get()}}};
  Json event = parse_shaped(line, shape, "an event of the watch");
  if (event.is_object() && member(event, "type") != "ERROR" && event.contains("object")) {
    complete_pod(event["object"]);
  }
  return event;
}

PodRecord read_pod_record(const Json& pod) {
  const std::string kind = string_of(member(pod, "kind"));
  if (!pod.is_object() || kind != "Pod") throw Error("not a Pod, but of kind " + quote(kind));
  const Json& metadata = member(pod, "metadata");
  const Json& status = member(pod, "status");
  PodRecord record;
  record.name_space = required(metadata, "namespace");
  record.name = required(metadata, "name");
  record.uid = required(metadata, "uid");
  record.mirror_uid = mirror_uid_of(member(metadata, "annotations"));
  record.addresses = addresses_of(status);
  record.host_network = member(member(pod, "spec"), "hostNetwork") == true;
  record.finished = is_finished(pod);
  record.standalone = !has_controller(member(metadata, "ownerReferences"));
  record.validation_failed = has_failed_validation(status);
  Json object = shaped(pod, object_shape().get());
  reduce_containers(object);
  record.object = cni::to_line(object);
  record.object.shrink_to_fit();
  return record;
}

std::string node_of(const Json& pod) {
  return string_of(member(member(pod, "spec"), "nodeName"));
}

}  // namespace sluice::agent
