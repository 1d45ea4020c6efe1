# SPDX-License-Identifier: GPL-2.0-or-later
"""What the API server refuses, as far as a chart can get it wrong: rules of the API conventions and of
apps/v1 and v1 validation, written as a list of complaints."""

import re

LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
SUBDOMAIN = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*")
LABEL_VALUE = re.compile(r"([A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?)?")
QUALIFIED = re.compile(r"([a-z0-9.-]{1,253}/)?[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?")
QUANTITY = re.compile(r"[0-9]+(\.[0-9]+)?(m|[kMGT]i?)?")
CLUSTER_SCOPED = {
    "Namespace": "v1",
    "ClusterRole": "rbac.authorization.k8s.io/v1",
    "ClusterRoleBinding": "rbac.authorization.k8s.io/v1",
    "SecurityContextConstraints": "security.openshift.io/v1",
}
NAMESPACED = {
    "ServiceAccount": "v1",
    "ConfigMap": "v1",
    "ResourceQuota": "v1",
    "Role": "rbac.authorization.k8s.io/v1",
    "RoleBinding": "rbac.authorization.k8s.io/v1",
    "NetworkPolicy": "networking.k8s.io/v1",
    "DaemonSet": "apps/v1",
}


def problems(objects):
    """All of them; an empty list is what the API server would take."""
    found = []
    seen = set()
    for each in objects:
        found += _metadata(each)
        key = (each.get("kind"), each.get("metadata", {}).get("name"))
        if key in seen:
            found.append(f"{key} stands twice")
        seen.add(key)
        if each.get("kind") == "DaemonSet":
            found += _daemonset(each)
        if each.get("kind") in ("RoleBinding", "ClusterRoleBinding"):
            found += _binding(each, objects)
    return found


def _metadata(each):
    kind, metadata = each.get("kind"), each.get("metadata", {})
    name = str(metadata.get("name"))
    expected = {**CLUSTER_SCOPED, **NAMESPACED}.get(kind)
    if expected is None or each.get("apiVersion") != expected:
        yield f"{kind} {name}: apiVersion {each.get('apiVersion')}"
    # RBAC names may be any path segment; ours are no exception from the usual.
    if not SUBDOMAIN.fullmatch(name) or len(name) > 253:
        yield f"{kind}: name {name}"
    if kind in NAMESPACED and not LABEL.fullmatch(str(metadata.get("namespace"))):
        yield f"{kind} {name}: namespace {metadata.get('namespace')}"
    if kind in CLUSTER_SCOPED and "namespace" in metadata:
        yield f"{kind} {name} has a namespace"
    yield from _labels(metadata.get("labels", {}), f"{kind} {name}")


def _labels(labels, where):
    for key, value in labels.items():
        if not QUALIFIED.fullmatch(key):
            yield f"{where}: label {key}"
        if not isinstance(value, str) or not LABEL_VALUE.fullmatch(value):
            yield f"{where}: label {key} is {value!r}"


def _binding(each, objects):
    role = each["roleRef"]
    if not any(one["kind"] == role["kind"] and one["metadata"]["name"] == role["name"] for one in objects):
        yield f"{each['kind']} names the {role['kind']} {role['name']}, which is not there"
    for subject in each["subjects"]:
        account = (subject["kind"], subject["name"], subject["namespace"])
        there = {
            (one["kind"], one["metadata"]["name"], one["metadata"].get("namespace")) for one in objects
        }
        if account not in there:
            yield f"{each['kind']} names {account}, which is not there"


def _daemonset(each):
    template = each["spec"]["template"]
    labels = template["metadata"]["labels"]
    yield from _labels(labels, "pod")
    for key, value in each["spec"]["selector"]["matchLabels"].items():
        if labels.get(key) != value:
            yield f"selector {key}={value} does not match the template"
    for key, value in template["metadata"]["annotations"].items():
        if not QUALIFIED.fullmatch(key) or not isinstance(value, str):
            yield f"annotation {key}: {value!r}"
    yield from _pod(template["spec"])


def _pod(spec):
    containers = spec.get("initContainers", []) + spec["containers"]
    names = [one["name"] for one in containers]
    if len(set(names)) != len(names) or not all(LABEL.fullmatch(name) for name in names):
        yield f"containers {names}"
    volumes = [volume["name"] for volume in spec["volumes"]]
    if len(set(volumes)) != len(volumes) or not all(LABEL.fullmatch(name) for name in volumes):
        yield f"volumes {volumes}"
    mounted = {mount["name"] for one in containers for mount in one.get("volumeMounts", [])}
    if mounted != set(volumes):
        yield f"volumes without mount or mounts without volume: {sorted(mounted ^ set(volumes))}"
    for volume in spec["volumes"]:
        if len(volume) != 2:
            yield f"volume {volume['name']} has {len(volume) - 1} sources"
        path = volume.get("hostPath", {}).get("path", "/")
        if not path.startswith("/") or ".." in path:
            yield f"hostPath {path}"
    for one in containers:
        yield from _container(one, spec.get("hostNetwork", False))


def _container(one, host_network):
    name = one["name"]
    paths = [mount["mountPath"] for mount in one.get("volumeMounts", [])]
    if len(set(paths)) != len(paths) or any(":" in path or path[0] != "/" for path in paths):
        yield f"{name}: mountPaths {paths}"
    variables = [variable["name"] for variable in one.get("env", [])]
    if len(set(variables)) != len(variables):
        yield f"{name}: env {variables}"
    if not all(isinstance(argument, str) for argument in one.get("args", [])):
        yield f"{name}: args {one['args']}"
    ports = {port["name"]: port["containerPort"] for port in one.get("ports", [])}
    for port, number in ports.items():
        # IANA_SVC_NAME: at most 15 characters.
        if not LABEL.fullmatch(port) or len(port) > 15 or not isinstance(number, int):
            yield f"{name}: port {port}"
        elif not 0 < number < 65536:
            yield f"{name}: port {number}"
    for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
        if probe in one and one[probe]["httpGet"]["port"] not in ports:
            yield f"{name}: {probe} asks port {one[probe]['httpGet']['port']}"
    security = one.get("securityContext", {})
    if security.get("privileged") and security.get("allowPrivilegeEscalation") is False:
        yield f"{name}: privileged without privilege escalation"
    if any(each.startswith("CAP_") for each in security.get("capabilities", {}).get("add", [])):
        yield f"{name}: capabilities are spelled without CAP_"
    for kind in one.get("resources", {}).values():
        for resource, quantity in kind.items():
            if not QUANTITY.fullmatch(str(quantity)):
                yield f"{name}: {resource} {quantity}"
    if host_network and any(port.get("hostPort") not in (None, port["containerPort"]) for port in one["ports"]):
        yield f"{name}: hostPort differs in the host's network"
