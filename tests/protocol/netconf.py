# SPDX-License-Identifier: GPL-2.0-or-later
"""The documents that a runtime writes to the plugin's stdin, and the captured ones of real runtimes."""

import json

from tests.protocol.runtime import NO_NETNS, ROOT

VERSIONS = ("0.1.0", "0.2.0", "0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0")
CAPTURES = ROOT / "tests" / "captures"
ANNOTATIONS_KEY = "io.kubernetes.cri.pod-annotations"
TRAFFIC = "traffic.sidecar.istio.io/"
STATUS = "sidecar.istio.io/status"
INJECTED_STATUS = json.dumps(
    {"initContainers": ["istio-validation"], "containers": ["istio-proxy"], "volumes": ["istio-envoy"]}
)
ABSENT = object()
V4 = "10.78.0.2/24"
V6 = "fd78::2/64"


def injected(**traffic):
    """The annotations of an injected pod; includeInboundPorts="80" adds that traffic annotation."""
    return {STATUS: INJECTED_STATUS, **{TRAFFIC + name: value for name, value in traffic.items()}}


def _family(address):
    return "6" if ":" in address else "4"


def _old_result(version, addresses):
    """The ip4/ip6 form of 0.1.0 and 0.2.0."""
    result = {"cniVersion": version, "dns": {}}
    for address in addresses:
        family = _family(address)
        dst = "0.0.0.0/0" if family == "4" else "::/0"
        result["ip" + family] = {"ip": address, "routes": [{"dst": dst}]}
    return result


def prev_result(version="1.1.0", sandbox=NO_NETNS, addresses=(V4,)):
    """The result of an interface plugin that made eth0, in the form of the version."""
    if version in ("0.1.0", "0.2.0"):
        return _old_result(version, addresses)
    ips = [{"address": address, "interface": 1} for address in addresses]
    if version < "1":
        ips = [{**ip, "version": _family(ip["address"])} for ip in ips]
    return {
        "cniVersion": version,
        "interfaces": [
            {"name": "vethd48b58f3", "mac": "92:17:5c:68:e9:22"},
            {"name": "eth0", "mac": "a6:7b:67:62:dc:c6", "sandbox": sandbox},
        ],
        "ips": ips,
        "routes": [{"dst": "0.0.0.0/0"}],
    }


def conf(version="1.1.0", annotations=None, pod=None, addresses=(V4,), **keys):
    """A plugin configuration. annotations: a value, None for a pod without any, ABSENT for no capability.

    Keys replace or add members of the configuration; a key given as ABSENT is left out.
    """
    document = {
        "cniVersion": version,
        "name": "podnet",
        "type": "sluice-cni",
        "capabilities": {ANNOTATIONS_KEY: True},
        "prevResult": prev_result(version, pod.path if pod else NO_NETNS, addresses),
        "runtimeConfig": {} if annotations is ABSENT else {ANNOTATIONS_KEY: annotations},
    }
    document.update(keys)
    return {key: value for key, value in document.items() if value is not ABSENT}


def mesh_conf(pod, annotations=None, **keys):
    """The configuration for an injected pod in a live namespace."""
    return conf(annotations=injected() if annotations is None else annotations, pod=pod, **keys)


def capture(name):
    """The document of a capture, and its environment if one was kept."""
    document = json.loads((CAPTURES / f"{name}.json").read_text())
    kept = CAPTURES / f"{name}.env"
    lines = kept.read_text().splitlines() if kept.exists() else []
    return document, dict(line.split("=", 1) for line in lines if line)
