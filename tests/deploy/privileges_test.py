# SPDX-License-Identifier: GPL-2.0-or-later
"""What the agent may do, to the cluster and to the node, in each mode: whole lists, so that nothing
comes in unnoticed."""

import unittest

from tests.deploy.chart import (
    MODES, agent_container, objects, of_kind, platform_values, pod_spec)

PODS = {"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "list", "watch"]}
EVENTS = {"apiGroups": [""], "resources": ["events"], "verbs": ["create", "patch"]}
DELETE = {"apiGroups": [""], "resources": ["pods"], "verbs": ["delete"]}
PATCH = {"apiGroups": [""], "resources": ["pods/status"], "verbs": ["patch"]}
NODES = {"apiGroups": [""], "resources": ["nodes"], "verbs": ["get", "patch"]}
RULES = {
    "repair": [PODS, EVENTS],
    "report": [PODS, EVENTS],
    "delete": [PODS, EVENTS, DELETE, PATCH],
    "label": [PODS, EVENTS, PATCH],
    "off": [PODS],
}
INSTALLING = ["DAC_OVERRIDE", "CHOWN", "FOWNER"]
RECONCILING = [*INSTALLING, "SYS_ADMIN", "NET_ADMIN", "NET_RAW", "SYS_PTRACE"]
APPARMOR = "container.apparmor.security.beta.kubernetes.io/sluice-agent"


def annotations(found):
    return of_kind(found, "DaemonSet")["spec"]["template"]["metadata"]["annotations"]


class Cluster(unittest.TestCase):
    def test_rules_of_each_mode(self):
        for mode in MODES:
            for events in (True, False):
                for untaint in ([], ["sluice.dev/not-ready"]):
                    with self.subTest(mode=mode, events=events, untaint=untaint):
                        expected = [rule for rule in RULES[mode] if events or rule is not EVENTS]
                        expected += [NODES] if untaint else []
                        found = objects({"repair": {"mode": mode, "events": events}, "untaint": untaint})
                        self.assertEqual(expected, of_kind(found, "ClusterRole")["rules"])

    def test_one_question_about_its_own_daemonset(self):
        for mode in MODES:
            found = objects({"repair": {"mode": mode}})
            name = of_kind(found, "DaemonSet")["metadata"]["name"]
            self.assertEqual(
                [{"apiGroups": ["apps"], "resources": ["daemonsets"], "resourceNames": [name], "verbs": ["get"]}],
                of_kind(found, "Role")["rules"],
            )
            self.assertIn(f"--daemonset=sluice-system/{name}", agent_container(found)["args"])

    def test_what_a_stopping_agent_asks_with_outlives_the_release(self):
        keep = {"helm.sh/resource-policy": "keep"}
        for mode in MODES:
            found = objects({"repair": {"mode": mode}})
            kept = [each for each in found if each["metadata"].get("annotations") == keep]
            # Of the namespace alone: nothing that is left over reaches beyond it.
            self.assertEqual(["Role", "RoleBinding", "ServiceAccount"], sorted(each["kind"] for each in kept))
            role, binding, account = (of_kind(kept, kind) for kind in ("Role", "RoleBinding", "ServiceAccount"))
            self.assertEqual(role["metadata"]["name"], binding["roleRef"]["name"])
            self.assertEqual(
                [{"kind": "ServiceAccount", "name": account["metadata"]["name"],
                  "namespace": account["metadata"]["namespace"]}], binding["subjects"])
            self.assertEqual(account["metadata"]["name"], pod_spec(found)["serviceAccountName"])

    def test_no_token_but_the_one_that_expires(self):
        found = objects()
        self.assertIs(False, of_kind(found, "ServiceAccount")["automountServiceAccountToken"])
        spec = pod_spec(found)
        self.assertIs(False, spec["automountServiceAccountToken"])
        (token,) = [volume["projected"] for volume in spec["volumes"] if "projected" in volume]
        self.assertEqual(0o400, token["defaultMode"])
        self.assertEqual(
            {"path": "token", "expirationSeconds": 3600}, token["sources"][0]["serviceAccountToken"])
        (mount,) = [mount for mount in agent_container(found)["volumeMounts"] if mount["name"] == "token"]
        self.assertEqual("/var/run/secrets/kubernetes.io/serviceaccount", mount["mountPath"])
        self.assertIs(True, mount["readOnly"])

    def test_an_uninstalling_pod_asks_the_cluster_nothing(self):
        found = objects({"uninstall": True})
        for kind in ("ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding"):
            self.assertIsNone(of_kind(found, kind))
        self.assertEqual(
            {"cni-bin", "cni-conf"}, {volume["name"] for volume in pod_spec(found)["volumes"]})


class Node(unittest.TestCase):
    def security(self, values=None, **flags):
        return agent_container(objects(values, **flags))["securityContext"]

    def test_capabilities_of_each_mode(self):
        for mode in MODES:
            capabilities = self.security({"repair": {"mode": mode}})["capabilities"]
            self.assertEqual(["ALL"], capabilities["drop"])
            self.assertEqual(INSTALLING if mode == "off" else RECONCILING, capabilities["add"], mode)

    def test_never_privileged(self):
        for mode in MODES:
            security = self.security({"repair": {"mode": mode}})
            self.assertIs(False, security["privileged"])
            self.assertIs(True, security["readOnlyRootFilesystem"])
            self.assertEqual({"type": "RuntimeDefault"}, security["seccompProfile"])
            # With SYS_ADMIN false is no valid answer.
            self.assertIs(False if mode == "off" else None, security.get("allowPrivilegeEscalation"), mode)

    def test_no_namespace_of_the_host(self):
        for values in ({}, {"platform": "minikube"}, {"repair": {"mode": "off"}}):
            spec = pod_spec(objects(values))
            self.assertEqual(set(), {"hostNetwork", "hostPID", "hostIPC"} & set(spec))
        self.assertIs(True, pod_spec(objects({"hostNetwork": True}))["hostNetwork"])

    def test_what_is_mounted_to_be_written(self):
        for mode in MODES:
            mounts = agent_container(objects({"repair": {"mode": mode}}))["volumeMounts"]
            writable = {mount["name"] for mount in mounts if not mount.get("readOnly")}
            self.assertEqual({"cni-bin", "cni-conf", "run"}, writable)

    def test_without_reconciling_no_pod_can_be_seen(self):
        container = agent_container(objects({"repair": {"mode": "off"}}))
        self.assertEqual(
            {"cni-bin", "cni-conf", "run", "config", "token"},
            {mount["name"] for mount in container["volumeMounts"]},
        )
        self.assertNotIn("--proc=/host/proc", container["args"])

    def test_apparmor_is_told_as_the_api_server_understands_it(self):
        unconfined = {"type": "Unconfined"}
        for how, version, field, annotation in (
            ("auto", "v1.29.9", None, "unconfined"),
            ("auto", "v1.30.0", unconfined, None),
            ("auto", "v1.31.2-gke.100", unconfined, None),
            ("field", "v1.29.0", unconfined, None),
            ("annotation", "v1.30.0", None, "unconfined"),
            ("off", "v1.29.0", None, None),
        ):
            with self.subTest(how=how, version=version):
                found = objects({"appArmorUnconfined": how}, kube_version=version)
                security = agent_container(found)["securityContext"]
                self.assertEqual(field, security.get("appArmorProfile"))
                self.assertEqual(annotation, annotations(found).get(APPARMOR))
        found = objects({"repair": {"mode": "off"}})
        self.assertNotIn(APPARMOR, annotations(found))

    def test_openshift_allows_what_the_pod_wants_and_no_more(self):
        for mode in MODES:
            for host_network in (False, True):
                found = objects(
                    {**platform_values("openshift"), "repair": {"mode": mode}, "hostNetwork": host_network})
                allowed = of_kind(found, "SecurityContextConstraints")
                security = agent_container(found)["securityContext"]
                self.assertEqual(security["capabilities"]["add"], allowed["allowedCapabilities"])
                self.assertEqual(["ALL"], allowed["requiredDropCapabilities"])
                self.assertEqual(mode != "off", allowed["allowPrivilegeEscalation"])
                self.assertEqual(
                    (False, False, False, host_network, host_network),
                    tuple(allowed[key] for key in (
                        "allowPrivilegedContainer", "allowHostIPC", "allowHostPID", "allowHostNetwork",
                        "allowHostPorts")))
                self.assertEqual("spc_t", security["seLinuxOptions"]["type"])
                kinds = {next(key for key in volume if key != "name") for volume in pod_spec(found)["volumes"]}
                self.assertEqual(set(allowed["volumes"]), kinds)
                account = of_kind(found, "ServiceAccount")["metadata"]
                self.assertEqual(
                    [f"system:serviceaccount:{account['namespace']}:{account['name']}"], allowed["users"])

    def test_openshift_allows_the_seccomp_profiles_of_all_containers(self):
        spelled = {"RuntimeDefault": "runtime/default", "Unconfined": "unconfined", "Localhost": "localhost/a.json"}
        for profile in ({"type": "RuntimeDefault"}, {"type": "Unconfined"},
                        {"type": "Localhost", "localhostProfile": "a.json"}):
            for uninstall in (False, True):
                with self.subTest(profile=profile, uninstall=uninstall):
                    found = objects(
                        {**platform_values("openshift"), "seccompProfile": profile, "uninstall": uninstall})
                    spec = pod_spec(found)
                    wanted = {spelled[one["securityContext"]["seccompProfile"]["type"]]
                              for one in spec.get("initContainers", []) + spec["containers"]}
                    allowed = of_kind(found, "SecurityContextConstraints")["seccompProfiles"]
                    self.assertEqual(sorted(wanted), sorted(allowed))

    def test_it_comes_first_and_stays(self):
        spec = pod_spec(objects())
        self.assertEqual("system-node-critical", spec["priorityClassName"])
        self.assertEqual("linux", spec["nodeSelector"]["kubernetes.io/os"])
        self.assertEqual(
            [{"operator": "Exists", "effect": "NoSchedule"}, {"operator": "Exists", "effect": "NoExecute"},
             {"operator": "Exists", "key": "CriticalAddonsOnly"}],
            spec["tolerations"])

    def test_no_sidecar_for_the_agent(self):
        metadata = of_kind(objects({"podLabels": {"sidecar.istio.io/inject": "true"}}), "DaemonSet")
        metadata = metadata["spec"]["template"]["metadata"]
        self.assertEqual("false", metadata["labels"]["sidecar.istio.io/inject"])
        self.assertEqual("false", metadata["annotations"]["sidecar.istio.io/inject"])


if __name__ == "__main__":
    unittest.main()
