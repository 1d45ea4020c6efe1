# SPDX-License-Identifier: GPL-2.0-or-later
"""What real runtimes were seen to send, as it is and with an injected sidecar."""

from dataclasses import replace

from tests.protocol.contract import PluginCase
from tests.protocol.expected import DEFAULT
from tests.protocol.netconf import ANNOTATIONS_KEY, CAPTURES, INJECTED_STATUS, STATUS, VERSIONS, capture
from tests.protocol.runtime import run

# Every ADD, with the capture whose environment goes with it.
PASSED = {
    "containerd-1.6.20-ADD": "containerd-1.6.20-ADD",
    "containerd-1.6.20-ADD-no-annotations": "containerd-1.6.20-ADD",
    "containerd-1.7.28-ADD": "containerd-1.7.28-ADD",
    "containerd-2.1.4-ADD": "containerd-2.1.4-ADD",
    "crio-1.32-ADD": "crio-1.32-ADD",
}
REDIRECTED = "kubelet-1.32-containerd-1.6-ADD"
PODMAN = "podman-4.3-ADD"
# Podman's environment was not kept; these are the arguments it is known to send.
PODMAN_ENV = {"CNI_ARGS": "IgnoreUnknown=1;K8S_POD_NAME=c96fa7d040bb"}
# The annotations of the captured pods, excludeInboundPorts "15020,15090", with the port that is always added.
WANTED = replace(DEFAULT, exclude_inbound=("15020", "15090", "15021"))
SILENT = {
    "containerd-1.6.20-DEL": {"CNI_COMMAND": "DEL"},
    "containerd-2.1.4-STATUS": {"CNI_COMMAND": "STATUS"},
    "crio-1.32-restart-CHECK": {},
    "crio-1.32-restart-DEL": {},
    "crio-1.32-restart-GC": {},
    "crio-1.32-restart-STATUS": {},
}
VERSION = "crio-1.32-restart-VERSION"


def with_sidecar(document):
    annotations = document["runtimeConfig"].get(ANNOTATIONS_KEY) or {}
    runtime_config = document["runtimeConfig"] | {ANNOTATIONS_KEY: annotations | {STATUS: INJECTED_STATUS}}
    return {**document, "runtimeConfig": runtime_config}


def replay(document, env, pod=None, **changes):
    """Runs with the captured environment; only the namespace is one of ours."""
    env = {**env, **({"CNI_NETNS": pod.path} if pod else {}), **changes}
    return run(env.get("CNI_COMMAND", "ADD"), document, env=env)


class Captures(PluginCase):
    def test_each_capture_is_used(self):
        kept = {path.stem for path in CAPTURES.glob("*.json")}
        self.assertEqual(kept, {*PASSED, REDIRECTED, PODMAN, *SILENT, VERSION})

    def test_pods_that_were_not_injected_are_passed(self):
        # Their namespaces are long gone, so this also shows that they are not opened.
        for name, origin in PASSED.items():
            with self.subTest(name=name):
                document, env = capture(name)[0], capture(origin)[1]
                self.assert_passed(replay(document, env), document)

    def test_with_an_injected_sidecar_they_are_redirected(self):
        for name, origin in PASSED.items():
            with self.subTest(name=name):
                pod = self.pod()
                document, env = with_sidecar(capture(name)[0]), capture(origin)[1]
                self.assert_passed(replay(document, env, pod), document)
                wanted = DEFAULT if name.endswith("no-annotations") else WANTED
                self.assert_redirected(pod, wanted)
                self.assert_success_silent(replay(document, env, pod, CNI_COMMAND="CHECK"))
                self.assert_success_silent(replay(document, env, pod, CNI_COMMAND="DEL"))
                self.assert_not_redirected(pod)

    def test_the_injected_pod_of_the_kubelet(self):
        pod = self.pod()
        document, env = capture(REDIRECTED)
        self.assert_passed(replay(document, env, pod), document)
        self.assert_redirected(pod)

    def test_podman(self):
        pod = self.pod()
        document, _ = capture(PODMAN)
        with self.unchanged(pod):
            self.assert_passed(replay(document, PODMAN_ENV, pod), document)
        document["redirect"] = "all"
        self.assert_passed(replay(document, PODMAN_ENV, pod), document)
        self.assert_redirected(pod)

    def test_the_other_verbs(self):
        for name, missing in SILENT.items():
            with self.subTest(name=name):
                document, env = capture(name)
                if "STATUS" in name or not env:
                    env = {**capture("containerd-1.6.20-ADD")[1], **env}
                self.assert_success_silent(replay(document, {**env, **missing}))

    def test_containerds_second_del(self):
        # At RemovePodSandbox the namespace is gone and so is the cached result.
        document, env = capture("containerd-1.6.20-ADD")
        del document["prevResult"]
        self.assert_success_silent(replay(document, env, CNI_COMMAND="DEL", CNI_NETNS=""))

    def test_crios_probe(self):
        document, env = capture(VERSION)
        outcome = replay(document, env)
        self.assertEqual(outcome.parsed()["supportedVersions"], list(VERSIONS))
