# SPDX-License-Identifier: GPL-2.0-or-later
"""The chart's objects, as an API server would judge them, for each platform and mode."""

import copy
import json
import os
import re
import unittest

import yaml

from tests.deploy import kubernetes
from tests.deploy.chart import (
    MODES, PLATFORMS, ROOT, RenderError, agent_container, notes, objects, of_kind, platform_values, pod_spec, render)

MANIFEST = ROOT / "deploy" / "sluice.yaml"
# What stands above the objects in the plain manifest.
MANIFEST_HEAD = """\
# SPDX-License-Identifier: GPL-2.0-or-later
# The chart deploy/chart/sluice with its default values. Edit that, then:
#   UPDATE_MANIFEST=1 python3 -m unittest tests.deploy.chart_test
# To uninstall, the DaemonSet first, and wait: an agent that stops has to be able to ask whether it is
# deleted (docs/migration.md "Uninstall").
#   kubectl -n sluice-system delete daemonset sluice-agent --cascade=foreground
#   kubectl delete -f deploy/sluice.yaml
"""
VARIANTS = {
    "host network": {"hostNetwork": True},
    "policy": {"networkPolicy": {"enabled": True}},
    "uninstall": {"uninstall": True},
    "no events": {"repair": {"events": False}},
    "all of it": {
        "migrate": True,
        "istioLabels": True,
        "untaint": ["sluice.dev/not-ready", "cni.istio.io/not-ready"],
        "repair": {"reconfigure": True},
        "podLabels": {"team": "mesh", "sidecar.istio.io/inject": "true"},
        "podAnnotations": {"a": "b", "prometheus.io/scrape": "true", "sidecar.istio.io/inject": "true"},
        "nodeSelector": {"pool": "a", "kubernetes.io/os": "linux"},
        "imagePullSecrets": [{"name": "registry"}],
        "affinity": {"nodeAffinity": {}},
        "namespace": {"create": True},
        "resourceQuota": {"enabled": True},
        "plugin": {"proxyUid": 1000610001, "namespaces": {"a": {"proxyGid": [1, 2]}}},
    },
}


def paths_of(spec):
    return {volume["name"]: volume["hostPath"]["path"] for volume in spec["volumes"] if "hostPath" in volume}


class Objects(unittest.TestCase):
    def test_every_platform_and_mode_is_valid(self):
        for platform in PLATFORMS:
            for mode in MODES:
                with self.subTest(platform=platform, mode=mode):
                    values = {**platform_values(platform), "repair": {"mode": mode}}
                    self.assertEqual([], kubernetes.problems(objects(values)))

    def test_every_variant_is_valid_on_every_platform(self):
        for platform in PLATFORMS:
            for name, values in VARIANTS.items():
                with self.subTest(platform=platform, variant=name):
                    self.assertEqual([], kubernetes.problems(objects({**values, **platform_values(platform)})))

    def test_names_are_valid_in_a_namespace_with_the_longest_name(self):
        self.assertEqual([], kubernetes.problems(objects(platform_values("openshift"), namespace="n" * 63)))

    def test_the_judge_finds_what_is_broken(self):
        good = objects()
        pod = good.index(of_kind(good, "DaemonSet"))

        def broken(change):
            found = copy.deepcopy(good)
            change(found, found[pod]["spec"]["template"]["spec"])
            return kubernetes.problems(found)

        for change in (
            lambda found, spec: found[0].update(apiVersion="v2"),
            lambda found, spec: found[0]["metadata"].update(name="Sluice_"),
            lambda found, spec: found.append(found[0]),
            lambda found, spec: found[pod]["spec"]["selector"]["matchLabels"].update(a="b"),
            lambda found, spec: found[pod]["metadata"]["labels"].update(a=True),
            lambda found, spec: spec["volumes"].pop(),
            lambda found, spec: spec["volumes"].append({"name": "x", "emptyDir": {}}),
            lambda found, spec: spec["containers"][0]["env"].append({"name": "SLUICE_NODE", "value": "x"}),
            lambda found, spec: spec["containers"][0]["ports"].clear(),
            lambda found, spec: spec["containers"][0]["ports"][0].update(containerPort=65536),
            lambda found, spec: spec["containers"][0]["args"].append(1),
            lambda found, spec: spec["containers"][0]["volumeMounts"][0].update(mountPath="/run/sluice"),
            lambda found, spec: found.remove(of_kind(found, "ServiceAccount")),
            lambda found, spec: found.remove(of_kind(found, "Role")),
        ):
            self.assertNotEqual([], broken(change))
        self.assertEqual([], broken(lambda found, spec: None))

    def test_every_object_is_in_the_release_namespace(self):
        for each in objects(VARIANTS["all of it"], namespace="istio-system"):
            if each["kind"] in kubernetes.NAMESPACED:
                self.assertEqual("istio-system", each["metadata"]["namespace"])

    def test_the_namespace_admits_the_pods(self):
        self.assertIsNone(of_kind(objects(), "Namespace"))
        namespace = of_kind(objects({"namespace": {"create": True}}), "Namespace")
        self.assertEqual("privileged", namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"])

    def test_a_policy_needs_a_network_of_the_pod(self):
        with self.assertRaisesRegex(RenderError, "no policy applies"):
            render({"networkPolicy": {"enabled": True}, "hostNetwork": True})

    def test_the_policy_lets_nothing_but_the_api_server_and_the_port_through(self):
        spec = of_kind(objects({**VARIANTS["policy"], "httpPort": 9000}), "NetworkPolicy")["spec"]
        self.assertEqual(["Ingress", "Egress"], spec["policyTypes"])
        self.assertEqual([{"ports": [{"protocol": "TCP", "port": 9000}]}], spec["ingress"])
        self.assertEqual([443, 6443], [port["port"] for rule in spec["egress"] for port in rule["ports"]])
        self.assertIsNone(of_kind(objects(), "NetworkPolicy"))

    def test_another_entry_is_another_pod(self):
        def checksum(values):
            template = of_kind(objects(values), "DaemonSet")["spec"]["template"]
            return template["metadata"]["annotations"]["checksum/config"]

        self.assertEqual(checksum({}), checksum({"httpPort": 9000}))
        self.assertNotEqual(checksum({}), checksum({"plugin": {"ipv6": "block"}}))


class Notes(unittest.TestCase):
    def test_they_say_how_to_uninstall(self):
        for values in ({}, *VARIANTS.values(), *({"repair": {"mode": mode}} for mode in MODES)):
            text = notes(values, release="mesh", namespace="istio-cni")
            self.assertIn("helm uninstall mesh -n istio-cni\n", text)
            self.assertNotIn("{{", text)
            self.assertNotIn("<no value>", text)
            kept = re.search("kubectl -n istio-cni delete ([a-z,]+) sluice-agent ", text).group(1)
            self.assertEqual(["role", "rolebinding", "serviceaccount"], sorted(kept.split(",")))

    def test_they_are_no_object(self):
        self.assertNotIn("helm uninstall", render())


class Platforms(unittest.TestCase):
    # bin dir, conf dir, namespaces
    EXPECTED = {
        "default": ("/opt/cni/bin", "/etc/cni/net.d", ["/var/run/netns"]),
        "gke": ("/home/kubernetes/bin", "/etc/cni/net.d", ["/var/run/netns"]),
        "k3d": ("/bin", "/var/lib/rancher/k3s/agent/etc/cni/net.d", ["/var/run/netns"]),
        "k3s": ("/var/lib/rancher/k3s/data/cni", "/var/lib/rancher/k3s/agent/etc/cni/net.d", ["/var/run/netns"]),
        "microk8s": (
            "/var/snap/microk8s/current/opt/cni/bin", "/var/snap/microk8s/current/args/cni-network",
            ["/var/run/netns"]),
        "minikube": ("/opt/cni/bin", "/etc/cni/net.d", ["/var/run/netns", "/var/run/docker/netns"]),
        "openshift": ("/var/lib/cni/bin", "/var/run/multus/cni/net.d", ["/var/run/netns"]),
        "talos": ("/opt/cni/bin", "/etc/cni/net.d", ["/var/run/netns"]),
    }

    def test_directories(self):
        for platform, (bin_dir, conf_dir, namespaces) in self.EXPECTED.items():
            with self.subTest(platform=platform):
                paths = paths_of(pod_spec(objects(platform_values(platform))))
                expected = {"cni-bin": bin_dir, "cni-conf": conf_dir, "run": "/run/sluice", "proc": "/proc"}
                expected |= {f"netns-{index}": path for index, path in enumerate(namespaces)}
                self.assertEqual(expected, paths)
        self.assertEqual(set(PLATFORMS), set(self.EXPECTED))

    def test_what_the_user_says_counts_more(self):
        values = {"platform": "k3s", "cniBinDir": "/b", "cniConfDir": "/c", "netnsDirs": ["/n", "/m"],
                  "seLinuxOptions": {"type": "t"}}
        found = objects(values)
        paths = paths_of(pod_spec(found))
        said = {"cni-bin": "/b", "cni-conf": "/c", "netns-0": "/n", "netns-1": "/m"}
        self.assertEqual(said, {name: path for name, path in paths.items() if name in said})
        self.assertEqual({"type": "t"}, agent_container(found)["securityContext"]["seLinuxOptions"])

    def test_every_namespace_directory_is_told_and_follows_the_host(self):
        container = agent_container(objects({"platform": "minikube"}))
        told = [argument.split("=")[1] for argument in container["args"] if argument.startswith("--netns-dir=")]
        mounts = [mount for mount in container["volumeMounts"] if mount["name"].startswith("netns-")]
        self.assertEqual(told, [mount["mountPath"] for mount in mounts])
        self.assertEqual(2, len(told))
        for mount in mounts:
            self.assertEqual(("HostToContainer", True), (mount["mountPropagation"], mount["readOnly"]))

    def test_quota_and_constraints_only_where_the_platform_asks(self):
        for platform in PLATFORMS:
            found = objects(platform_values(platform))
            self.assertEqual(platform == "gke", of_kind(found, "ResourceQuota") is not None, platform)
            constraints = of_kind(found, "SecurityContextConstraints")
            self.assertEqual(platform == "openshift", constraints is not None, platform)
        for enabled, platform in ((True, "default"), (False, "gke")):
            found = objects({"platform": platform, "resourceQuota": {"enabled": enabled}})
            self.assertEqual(enabled, of_kind(found, "ResourceQuota") is not None)
        self.assertIsNone(of_kind(objects({"platform": "gke"}, namespace="kube-system"), "ResourceQuota"))

    def test_openshift_is_refused_without_a_list_of_plugins(self):
        for name in ("", "10-ovn-kubernetes.conf"):
            with self.assertRaisesRegex(RenderError, "has to name the primary network's .conflist"):
                render({"platform": "openshift", "cniConfFile": name})


class Manifest(unittest.TestCase):
    def test_it_is_the_chart(self):
        # Before 1.30 the field for AppArmor is unknown; its annotation is understood by all.
        text = MANIFEST_HEAD + render({"namespace": {"create": True}}, kube_version="v1.29.0")
        if os.environ.get("UPDATE_MANIFEST"):
            MANIFEST.write_text(text)
        self.assertEqual(text, MANIFEST.read_text())

    def test_it_is_whole(self):
        found = list(yaml.safe_load_all(MANIFEST.read_text()))
        self.assertEqual([], kubernetes.problems(found))
        self.assertEqual("Namespace", found[0]["kind"])
        self.assertEqual("DaemonSet", found[-1]["kind"])
        json.loads(of_kind(found, "ConfigMap")["data"]["entry.json"])


if __name__ == "__main__":
    unittest.main()
