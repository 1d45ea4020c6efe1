# SPDX-License-Identifier: GPL-2.0-or-later
"""The chart's values: the schema takes the defaults and refuses mistakes, each value does something,
and the plugin understands the entry that comes out."""

import json
import re
import unittest

import jsonschema

from tests.deploy.chart import (
    CHART, PLATFORMS, ROOT, agent_container, default_values, merged_values, objects, of_kind, platform_values,
    pod_spec, render)
from tests.deploy.chart_test import VARIANTS
from tests.protocol.netconf import conf
from tests.protocol.runtime import run

SCHEMA = json.loads((CHART / "values.schema.json").read_text())
BAD = (
    {"platform": "eks"},
    {"plattform": "gke"},
    {"image": {"repository": ""}},
    {"image": {"tag": "a b"}},
    {"image": {"digest": "md5:1"}},
    {"image": {"pullPolicy": "Sometimes"}},
    {"cniBinDir": "opt/cni/bin"},
    {"cniBinDir": "/opt/cni bin"},
    {"cniConfFile": "../10-calico.conflist"},
    {"cniConfFile": "10-calico"},
    {"netnsDirs": "/var/run/netns"},
    {"netnsDirs": ["/a", "/a"]},
    {"migrate": "yes"},
    {"plugin": {"excludeNamespace": ["a"]}},
    {"plugin": {"excludeNamespaces": "kube-system"}},
    {"plugin": {"agentAbsent": "pass"}},
    {"plugin": {"ipv6": True}},
    {"plugin": {"proxyUid": 4294967295}},
    {"plugin": {"proxyPort": 0}},
    {"plugin": {"namespaces": {"a": {"proxyUID": 1}}}},
    {"plugin": {"type": "bridge"}},
    {"repair": {"mode": "off "}},
    {"repair": {"mode": False}},  # what `mode: off` is in YAML
    {"repair": {"labelKey": "-x"}},
    {"repair": {"labelValue": "a b"}},
    {"repair": {"intervalSeconds": 0}},
    {"untaint": "sluice.dev/not-ready"},
    {"untaint": ["a b"]},
    {"logging": {"level": "trace"}},
    {"plugin": {"agentTimeoutMs": 0}},
    {"plugin": {"agentTimeoutMs": 10001}},
    {"plugin": {"agentSocket": "/run/x.sock"}},
    {"repair": {"mode": "repairPods"}},
    {"apiServer": "https://kubernetes.default:443"},
    {"apiServer": "http://10.0.0.1:443"},
    {"apiServer": "https://10.0.0.1"},
    {"lookupDeadlineMs": 49},
    {"lookupDeadlineMs": "500"},
    {"httpPort": 80},
    {"httpPort": "15014"},
    {"tolerations": [{"operator": "In"}]},
    {"updateStrategy": {"maxUnavailable": 0}},
    {"updateStrategy": {"maxUnavailable": "101%"}},
    {"tokenExpirationSeconds": 60},
    {"seccompProfile": {"type": "Localhost"}},
    {"seLinuxOptions": {"kind": "spc_t"}},
    {"appArmorUnconfined": True},
    {"resourceQuota": {"enabled": "yes"}},
    {"networkPolicy": {"apiServerPorts": [70000]}},
    {"podLabels": {"a": 1}},
)
# Another value for each leaf of values.yaml, and what has to be said with it to have an effect.
OTHER = {
    "platform": "k3s",
    "image.repository": "other/agent",
    "image.tag": "1",
    "image.digest": "sha256:" + "0" * 64,
    "image.pullPolicy": "Always",
    "imagePullSecrets": [{"name": "a"}],
    "cniBinDir": "/b",
    "cniConfDir": "/c",
    "cniConfFile": "10-a.conflist",
    "netnsDirs": ["/n"],
    "migrate": True,
    "plugin.excludeNamespaces": ["a"],
    "plugin.agentAbsent": "annotations",
    "plugin.logLevel": "debug",
    "repair.mode": "report",
    "repair.reconfigure": True,
    "repair.labelKey": "a.b/c",
    "repair.labelValue": "d",
    "repair.intervalSeconds": 60,
    "repair.events": False,
    "untaint": ["a"],
    "istioLabels": True,
    "logging.level": "debug",
    "logging.format": "json",
    "apiServer": "https://[fd00::1]:6443",
    "lookupDeadlineMs": 500,
    "httpPort": 9000,
    "hostNetwork": True,
    "priorityClassName": "other",
    "tolerations": [],
    "nodeSelector": {"a": "b"},
    "affinity": {"podAffinity": {}},
    "updateStrategy.maxUnavailable": "10%",
    "terminationGracePeriodSeconds": 31,
    "resources.requests.cpu": "1",
    "resources.requests.memory": "1Gi",
    "resources.limits.memory": "1Gi",
    "podLabels": {"a": "b"},
    "podAnnotations.prometheus.io/scrape": "false",
    "podAnnotations.prometheus.io/path": "/m",
    "tokenExpirationSeconds": 7200,
    "seccompProfile.type": "Unconfined",
    "seLinuxOptions": {"type": "spc_t"},
    "appArmorUnconfined": "off",
    "namespace.create": True,
    "resourceQuota.enabled": True,
    "resourceQuota.pods": 1,
    "networkPolicy.enabled": True,
    "networkPolicy.apiServerPorts": [1],
    "uninstall": True,
    "pauseImage": "other/pause",
}
WITH = {
    "resourceQuota.pods": {"resourceQuota": {"enabled": True}},
    "networkPolicy.apiServerPorts": {"networkPolicy": {"enabled": True}},
    "pauseImage": {"uninstall": True},
}


def leaves(values, before=()):
    for key, value in values.items():
        if isinstance(value, dict) and value:
            yield from leaves(value, (*before, key))
        else:
            yield (*before, key)


def nested(path, value):
    for key in reversed(path):
        value = {key: value}
    return value


def overlay(below, above):
    both = dict(below)
    for key, value in above.items():
        both[key] = overlay(both[key], value) if isinstance(both.get(key), dict) and isinstance(value, dict) else value
    return both


class Schema(unittest.TestCase):
    def judge(self, values):
        jsonschema.Draft7Validator(SCHEMA).validate(merged_values(values))

    def test_it_is_a_schema(self):
        jsonschema.Draft7Validator.check_schema(SCHEMA)

    def test_what_is_meant_to_be_said_is_taken(self):
        for platform in PLATFORMS:
            self.judge(platform_values(platform))
        for values in VARIANTS.values():
            self.judge(values)

    def test_mistakes_are_refused(self):
        for values in BAD:
            with self.subTest(values=values), self.assertRaises(jsonschema.ValidationError):
                self.judge(values)

    def test_it_knows_every_value_and_no_other(self):
        def properties(schema, before=()):
            for key, below in schema.get("properties", {}).items():
                yield ".".join((*before, key))
                yield from properties(below, (*before, key))

        known = set(properties(SCHEMA))
        for path in leaves(default_values()):
            whole = path[0] in ("podAnnotations", "resources")
            self.assertIn(path[0] if whole else ".".join(path), known)
        self.assertEqual(set(SCHEMA["properties"]) - {"global"}, set(default_values()))


class EachValue(unittest.TestCase):
    def test_it_does_something(self):
        paths = {".".join(path): path for path in leaves(default_values())}
        self.assertEqual(set(OTHER), set(paths))
        for name, path in paths.items():
            with self.subTest(value=name):
                below = WITH.get(name, {})
                above = overlay(below, nested(path, OTHER[name]))
                jsonschema.Draft7Validator(SCHEMA).validate(merged_values(above))
                self.assertNotEqual(render(below), render(above))

    def test_the_image_is_named_by_tag_or_digest(self):
        def image(**values):
            return agent_container(objects({"image": {"repository": "r/a", **values}}))["image"]

        self.assertEqual("r/a:0.1.0", image())
        self.assertEqual("r/a:x", image(tag="x"))
        self.assertEqual("r/a@sha256:1", image(tag="x", digest="sha256:1"))

    def test_both_pods_have_the_directories_of_the_node(self):
        values = {"platform": "gke"}
        volumes = {volume["name"]: volume for volume in pod_spec(objects(values))["volumes"]}
        for volume in pod_spec(objects({**values, "uninstall": True}))["volumes"]:
            self.assertEqual(volumes[volume["name"]], volume)


class Entry(unittest.TestCase):
    """The plugin complains on stderr about what it does not know or like, even where it passes a pod."""

    # Each key that the schema has for the entry, with a value.
    SAMPLES = {
        "redirect": "injected", "excludeNamespaces": ["a"], "onMissingAnnotations": "pass",
        "agentAbsent": "annotations", "layout": "sluice", "ipv6": "block", "dualStack": True,
        "backend": "nftables", "nftTable": "mesh", "proxyPort": 16001, "inboundCapturePort": 16006, "inboundTunnelPort": 16008,
        "dnsPort": 16053, "dnsResolvers": "10.96.0.10,fd00::10", "tproxyMark": "0x539", "tproxyTable": 134,
        "ipv4LoopbackCidr": "127.0.0.0/8", "proxyUid": 1000610001, "proxyGid": [1, 2],
        "namespaces": {"a": {"proxyUid": 5, "proxyGid": 6}}, "includeInboundPorts": "*",
        "excludeInboundPorts": "22", "excludeInboundCidrs": "10.0.0.0/8", "includeOutboundPorts": "80",
        "excludeOutboundPorts": "81", "includeOutboundCidrs": "*", "excludeOutboundCidrs": "10.1.0.0/16",
        "excludeOutboundForUids": "tcp:443:999", "includeOwnerGroups": "*", "excludeOwnerGroups": "7",
        "excludeInterfaces": "net1", "virtualInterfaces": "kv1", "interceptionMode": "TPROXY",
        "dnsCapture": "all", "dropInvalid": True, "log": True, "logLevel": "debug", "deadlineMs": 5000,
        "agentTimeoutMs": 500,
    }

    def complaints(self, plugin):
        text = of_kind(objects({"plugin": plugin}), "ConfigMap")["data"]["entry.json"]
        outcome = run("ADD", conf(annotations={}, **{**json.loads(text), "logLevel": "warn"}))
        self.assertEqual(0, outcome.rc, outcome)
        return outcome.stderr

    def test_the_defaults_are_understood(self):
        self.assertEqual("", self.complaints({}))

    def test_every_key_is_understood(self):
        self.assertEqual(set(SCHEMA["properties"]["plugin"]["properties"]), set(self.SAMPLES))
        jsonschema.Draft7Validator(SCHEMA).validate(merged_values({"plugin": self.SAMPLES}))
        self.assertEqual("", self.complaints(self.SAMPLES))

    def test_every_documented_key_can_be_said(self):
        section = (ROOT / "README.md").read_text().split("\n## Configuration\n")[1].split("\n## ")[0]
        rows = [line.split("|")[1] for line in section.splitlines() if line.startswith("| `")]
        # A former name of a key stands in parentheses.
        keys = {key for row in rows for key in re.findall("`([^`]+)`", re.sub(r"\(.*?\)", "", row))}
        self.assertGreater(len(keys), 40)
        self.assertEqual(keys - {"agentSocket", "agentDaemonSet"}, set(SCHEMA["properties"]["plugin"]["properties"]))

    def test_the_plugin_would_say(self):
        for plugin in ({"proxyPort": 0}, {"excludeNamespace": ["a"]}, {"dnsCapture": "some"}):
            self.assertIn(next(iter(plugin)), self.complaints(plugin))


if __name__ == "__main__":
    unittest.main()
