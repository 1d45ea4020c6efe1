# SPDX-License-Identifier: GPL-2.0-or-later
"""What the agent asks the API server for in each mode, against the roles that the chart gives it."""

import urllib.parse

from tests.agent.agent import wait_until
from tests.agent.mesh_pod import MeshPod
from tests.agent.node_case import NodeCase
from tests.deploy.chart import objects

TAINT = "sluice.dev/not-ready"
VERBS = {"POST": "create", "PATCH": "patch", "PUT": "update", "DELETE": "delete"}


def attributes(method, url):
    """Of a request, as the API server's authorizer sees it: verb, group, resource, namespace, name."""
    split = urllib.parse.urlsplit(url)
    parts = [urllib.parse.unquote(part) for part in split.path.strip("/").split("/")]
    group, rest = ("", parts[2:]) if parts[0] == "api" else (parts[1], parts[3:])
    namespace = ""
    if rest[0] == "namespaces":
        namespace, rest = rest[1], rest[2:]
    name = rest[1] if len(rest) > 1 else ""
    resource = "/".join([rest[0], *rest[2:]])
    if method != "GET":
        return VERBS[method], group, resource, namespace, name
    watched = dict(urllib.parse.parse_qsl(split.query)).get("watch") in ("1", "true")
    return "get" if name else "watch" if watched else "list", group, resource, namespace, name


def allows(rule, verb, group, resource, name):
    return (verb in rule["verbs"] and group in rule["apiGroups"] and resource in rule["resources"]
            and name in rule.get("resourceNames", [name]))


def is_allowed(found, verb, group, resource, namespace, name):
    return any(allows(rule, verb, group, resource, name)
               for role in found if role["kind"] in ("ClusterRole", "Role")
               if role["kind"] == "ClusterRole" or role["metadata"]["namespace"] == namespace
               for rule in role["rules"])


def granted(found):
    """(verb, resource) of all rules."""
    return {(verb, resource) for role in found if role["kind"] in ("ClusterRole", "Role")
            for rule in role["rules"] for verb in rule["verbs"] for resource in rule["resources"]}


class PermissionsTest(NodeCase):
    def act(self, mode):
        """All that the agent does in a mode; the requests that it made."""
        self.api.log.clear()
        self.api.put_node("node-1", [TAINT])
        owned, standalone = self.pod(), MeshPod()
        self.addCleanup(standalone.delete)
        pod = standalone.object()
        del pod["metadata"]["ownerReferences"]
        self.api.put_pod(pod)
        agent = self.start("--repair", mode, "--untaint", TAINT)
        wait_until(lambda: not self.api.taints("node-1"), "the taint is gone")
        stranger = MeshPod()
        self.addCleanup(stranger.delete)
        stranger.call("ADD", self.node.our_entry())
        if mode != "off":
            names = {owned.pod_name, standalone.pod_name}
            wait_until(lambda: names <= {event["involvedObject"]["name"] for event in self.api.events},
                       f"mode {mode}: both pods are acted on; {agent.log()[-2000:]}")
        self.assertEqual(0, agent.stop())
        self.assertNotIn(403, {status for _, _, _, status in self.api.log})
        return [attributes(method, path) for _, method, path, _ in self.api.log]

    def check(self, mode):
        found = objects({"repair": {"mode": mode}, "untaint": [TAINT]})
        requests = self.act(mode)
        self.assertEqual([], [each for each in requests if not is_allowed(found, *each)])
        # An event is patched when it comes again, ten minutes before it would be a new one.
        used = {(verb, resource) for verb, _, resource, _, _ in requests}
        self.assertEqual(granted(found) - {("patch", "events")}, used - {("patch", "events")})

    def test_mode_repair(self):
        self.check("repair")

    def test_mode_report(self):
        self.check("report")

    def test_mode_delete(self):
        self.check("delete")

    def test_mode_label(self):
        self.check("label")

    def test_mode_off(self):
        self.check("off")

    def test_a_standalone_pod_is_labelled_where_others_are_deleted(self):
        pod = MeshPod()
        self.addCleanup(pod.delete)
        document = pod.object()
        del document["metadata"]["ownerReferences"]
        self.api.put_pod(document)
        self.start("--repair", "delete")
        wait_until(lambda: [event["reason"] for event in self.api.events] == ["LabelBrokenPod"], "it is told")
        self.assertEqual("true", self.api.pods["demo", pod.pod_name]["metadata"]["labels"][
            "cni.istio.io/uninitialized"])

    def test_what_is_refused_is_told_on_the_pod(self):
        self.api.faults.forbidden.add("patch_pod_status")
        self.pod()
        self.start("--repair", "label")
        wait_until(lambda: [event["reason"] for event in self.api.events] == ["RepairFailed"], "it is told")
        self.assertIn("it could not be labelled", self.api.events[0]["message"])

    def test_the_judge_refuses_what_is_not_granted(self):
        found = objects({"repair": {"mode": "delete"}})
        for method, path, allowed in (
            ("PATCH", "/api/v1/namespaces/demo/pods/web-0/status", True),
            ("PATCH", "/api/v1/namespaces/demo/pods/web-0", False),
            ("POST", "/api/v1/namespaces/demo/pods", False),
            ("GET", "/apis/apps/v1/namespaces/sluice-system/daemonsets/sluice-agent", True),
            ("GET", "/apis/apps/v1/namespaces/sluice-system/daemonsets/other", False),
            ("GET", "/apis/apps/v1/namespaces/demo/daemonsets/sluice-agent", False),
            ("GET", "/api/v1/pods?watch=1", True),
            ("GET", "/api/v1/secrets", False),
        ):
            with self.subTest(method=method, path=path):
                self.assertEqual(allowed, is_allowed(found, *attributes(method, path)))
