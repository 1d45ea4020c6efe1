# SPDX-License-Identifier: GPL-2.0-or-later
"""Calls the plugin the way containerd does: environment, configuration on stdin, one process."""

import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Optional

from tests.e2e.pod import Pod

REPOSITORY = Path(__file__).resolve().parents[2]
ANNOTATIONS_KEY = "io.kubernetes.cri.pod-annotations"
STATUS = "sidecar.istio.io/status"
TRAFFIC = "traffic.sidecar.istio.io/"
MODE = "sidecar.istio.io/interceptionMode"
CNI_VERSION = "1.0.0"
PLUGIN_SECONDS = 10
COMMAND_SECONDS = 20
# The one that all tests use, "xtables" or "nftables"; nothing: the program's own choice.
BACKEND = os.environ.get("SLUICE_BACKEND")


@dataclass(frozen=True)
class Outcome:
    """What a plugin call left behind."""

    rc: int
    result: Optional[dict]  # stdout when it was a JSON object
    stdout: str
    stderr: str

    def complaint(self) -> str:
        return f"rc {self.rc}\nstdout: {self.stdout}\nstderr: {self.stderr}"


def plugin_path() -> str:
    return os.environ.get("SLUICE_CNI") or str(REPOSITORY / "out" / "sluice-cni")


def cli_path() -> str:
    return os.environ.get("SLUICE") or str(REPOSITORY / "out" / "sluice")


def injected(extra: Optional[dict] = None, **traffic: str) -> dict:
    """The annotations of a pod with a sidecar; keywords are traffic.sidecar.istio.io/ names."""
    status = json.dumps({"initContainers": ["istio-validation"], "containers": ["istio-proxy"]})
    named = {TRAFFIC + key: value for key, value in traffic.items()}
    return {STATUS: status, **named, **(extra or {})}


def sluice(command: str, pod: Pod, *arguments: str) -> subprocess.CompletedProcess:
    """Runs the command line program on the pod's namespace."""
    return subprocess.run([cli_path(), command, "--netns", pod.netns, *arguments], text=True,
                          capture_output=True, timeout=COMMAND_SECONDS, check=False)


def add(pod: Pod, annotations: dict, config: Optional[dict] = None) -> Outcome:
    return call("ADD", pod, annotations, config)


def check(pod: Pod, annotations: dict, config: Optional[dict] = None) -> Outcome:
    return call("CHECK", pod, annotations, config)


def delete(pod: Pod, annotations: dict, config: Optional[dict] = None) -> Outcome:
    return call("DEL", pod, annotations, config)


def call(command: str, pod: Pod, annotations: dict, config: Optional[dict] = None,
         cni_version: str = CNI_VERSION) -> Outcome:
    """Runs the plugin once and waits for it."""
    done = subprocess.run(
        [plugin_path()], input=json.dumps(stdin(pod, annotations, config, cni_version)),
        env=environment(command, pod), text=True, capture_output=True,
        timeout=PLUGIN_SECONDS, check=False,
    )
    return Outcome(done.returncode, _json_object(done.stdout), done.stdout, done.stderr)


def environment(command: str, pod: Pod) -> dict:
    """Only what a runtime sets: the plugin has to manage without anything of the host."""
    arguments = {
        "IgnoreUnknown": "1",
        "K8S_POD_NAMESPACE": "demo",
        "K8S_POD_NAME": "web-0",
        "K8S_POD_INFRA_CONTAINER_ID": pod.container_id,
        "K8S_POD_UID": "11111111-2222-3333-4444-555555555555",
    }
    return {
        "CNI_COMMAND": command,
        "CNI_CONTAINERID": pod.container_id,
        "CNI_NETNS": pod.netns,
        "CNI_IFNAME": pod.ifname,
        "CNI_PATH": os.path.dirname(plugin_path()),
        "CNI_ARGS": ";".join(f"{key}={value}" for key, value in arguments.items()),
    }


def stdin(pod: Pod, annotations: dict, config: Optional[dict] = None,
          cni_version: str = CNI_VERSION) -> dict:
    """The plugin's network configuration, completed as containerd completes it."""
    seen = {"kubernetes.io/config.source": "api"}
    return {
        "cniVersion": cni_version,
        "name": "podnet",
        "type": "sluice-cni",
        "capabilities": {ANNOTATIONS_KEY: True},
        "prevResult": pod.prev_result(cni_version),
        "runtimeConfig": {ANNOTATIONS_KEY: {**seen, **annotations}},
        **({"backend": BACKEND} if BACKEND else {}),
        **(config or {}),
    }


def backend_flags() -> list[str]:
    """The same for the command line."""
    return ["--backend", BACKEND] if BACKEND else []


def _json_object(text: str) -> Optional[dict]:
    try:
        parsed = json.loads(text)
    except ValueError:
        return None
    return parsed if isinstance(parsed, dict) else None
