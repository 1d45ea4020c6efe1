# SPDX-License-Identifier: GPL-2.0-or-later
"""Which pods are redirected, which are passed, and which are refused because that cannot be told."""

import json

from tests.protocol.contract import PluginCase
from tests.protocol.netconf import ABSENT, ANNOTATIONS_KEY, INJECTED_STATUS, STATUS, conf, injected, mesh_conf
from tests.protocol.runtime import KUBERNETES_ARGS, run

INJECT = "sidecar.istio.io/inject"
MODE = "sidecar.istio.io/interceptionMode"
TEMPLATES = "inject.istio.io/templates"

REDIRECTED_STATUS = (
    INJECTED_STATUS,
    '{"version":"x"}', '{"containers":[],"initContainers":[]}', '{"containers":null}', "", "not json", "[1]",
    '{"initContainers":["istio-validation","istio-proxy"],"containers":[]}',
    '{"initContainers":["istio-validation","istio-proxy"],"containers":null}',
    '{"containers":["app","istio-proxy"],"initContainers":null}',
)  # fmt: skip
PASSED_STATUS = (
    '{"initContainers":["istio-init"],"containers":["istio-proxy"]}',
    '{"initContainers":["istio-init","istio-proxy"]}',
    '{"containers":["istio-init","istio-proxy"]}',
    '{"containers":["app"]}',
    '{"initContainers":["istio-validation"],"containers":["ztunnel"]}',
)
REDIRECTED_WITH = (
    {INJECT: "true"}, {INJECT: "1"}, {INJECT: "no"}, {INJECT: "fAlse"}, {INJECT: ""}, {INJECT: " false"},
    {TEMPLATES: "sidecar"}, {TEMPLATES: ""}, {TEMPLATES: "sidecar,custom"}, {TEMPLATES: "my-gateway"},
    {TEMPLATES: "grpc"}, {MODE: "REDIRECT"}, {"app.example/other": 5, "sidecar.istio.io/unread": {}},
)  # fmt: skip
PASSED_WITH = (
    {INJECT: "false"}, {INJECT: "False"}, {INJECT: "FALSE"}, {INJECT: "f"}, {INJECT: "F"}, {INJECT: "0"},
    {TEMPLATES: "gateway"}, {TEMPLATES: "sidecar,gateway"}, {TEMPLATES: "grpc-agent"},
    {TEMPLATES: "grpc-simple,sidecar"}, {MODE: "NONE"},
)  # fmt: skip


class DecisionCase(PluginCase):
    def assert_decided(self, redirected, document=None, pod=None, env=None, **keys):
        """ADD, then CHECK, both in a live namespace where an oversight would leave its rules."""
        pod = pod or self.pod()
        document = document or mesh_conf(pod, **keys)
        if redirected:
            self.assert_passed(run("ADD", document, pod, env=env), document)
            self.assert_redirected(pod)
        else:
            with self.unchanged(pod):
                self.assert_passed(run("ADD", document, pod, env=env), document)
        self.assert_success_silent(run("CHECK", document, pod, env=env))

    def assert_refused(self, *needles, env=None, **keys):
        pod = self.pod()
        with self.unchanged(pod):
            self.assert_error(run("ADD", mesh_conf(pod, **keys), pod, env=env), 7, *needles)


class Annotations(DecisionCase):
    def test_a_pod_without_the_status_annotation_is_passed(self):
        for annotations in (None, {}, {INJECT: "true"}, {"kubectl.kubernetes.io/x": json.dumps(injected())}):
            with self.subTest(annotations=annotations):
                pod = self.pod()
                self.assert_decided(False, conf(annotations=annotations, pod=pod), pod)

    def test_status_that_names_the_sidecar(self):
        for status in REDIRECTED_STATUS:
            with self.subTest(status=status):
                self.assert_decided(True, annotations={STATUS: status})

    def test_status_that_names_others(self):
        for status in PASSED_STATUS:
            with self.subTest(status=status):
                self.assert_decided(False, annotations={STATUS: status})

    def test_other_annotations_that_leave_it_redirected(self):
        for more in REDIRECTED_WITH:
            with self.subTest(more=more):
                self.assert_decided(True, annotations=injected() | more)

    def test_other_annotations_that_turn_it_off(self):
        for more in PASSED_WITH:
            with self.subTest(more=more):
                self.assert_decided(False, annotations=injected() | more)

    def test_interception_modes_that_cannot_be_served(self):
        for mode in ("TPROXY", "tproxy", "redirect", "none", "", "REDIRECT,NONE"):
            with self.subTest(mode=mode):
                self.assert_refused(MODE, mode, annotations=injected() | {MODE: mode})

    def test_annotations_that_are_read_must_be_strings(self):
        for key in (STATUS, INJECT, MODE, "traffic.sidecar.istio.io/includeInboundPorts", "sluice.dev/proxy-uid"):
            for value in (80, {"a": 1}, ["x"], True):
                with self.subTest(key=key, value=value):
                    self.assert_refused(key, annotations=injected() | {key: value})


class Capability(DecisionCase):
    def test_without_the_capability_a_kubernetes_pod_is_refused(self):
        for runtime_config in (ABSENT, None, {}, {"portMappings": []}):
            for keys in ({}, {"onMissingAnnotations": "fail"}):
                with self.subTest(runtime_config=runtime_config, keys=keys):
                    self.assert_refused(ANNOTATIONS_KEY, runtimeConfig=runtime_config, **keys)

    def test_or_passed_when_the_configuration_says_so(self):
        for runtime_config in (ABSENT, None, {}):
            with self.subTest(runtime_config=runtime_config):
                self.assert_decided(False, runtimeConfig=runtime_config, onMissingAnnotations="pass")

    def test_other_types_are_refused(self):
        for value in ("x", [], 5, True):
            with self.subTest(value=value):
                self.assert_refused("runtimeConfig", runtimeConfig=value)
                self.assert_refused(ANNOTATIONS_KEY, runtimeConfig={ANNOTATIONS_KEY: value})

    def test_del_does_not_care(self):
        for value in (ABSENT, None, {}, "x", {ANNOTATIONS_KEY: 5}, {ANNOTATIONS_KEY: {STATUS: 5}}):
            with self.subTest(value=value):
                self.assert_success_silent(run("DEL", conf(runtimeConfig=value)))

    def test_the_key_is_matched_in_any_case(self):
        runtime_config = {ANNOTATIONS_KEY.upper(): injected()}
        self.assert_decided(True, runtimeConfig=runtime_config)


class KubernetesOrNot(DecisionCase):
    OTHERS = (
        None, "", "IgnoreUnknown=1", "IgnoreUnknown=1;K8S_POD_NAME=c96fa7d040bb", "K8S_POD_NAMESPACE=demo",
        "K8S_POD_NAME=;K8S_POD_NAMESPACE=demo", "k8s_pod_name=a;k8s_pod_namespace=b",
        " K8S_POD_NAME=a;K8S_POD_NAMESPACE=b",
    )  # fmt: skip
    PODS = (
        "K8S_POD_NAME=a;K8S_POD_NAMESPACE=b", ";;K8S_POD_NAMESPACE=b;FOO;K8S_POD_NAME=a=b;",
        "K8S_POD_NAME=;K8S_POD_NAME=$(reboot)\n'é;K8S_POD_NAMESPACE=b",
    )  # fmt: skip

    def test_other_containers_are_passed(self):
        for args in self.OTHERS:
            with self.subTest(args=args):
                self.assert_decided(False, env={"CNI_ARGS": args}, runtimeConfig=ABSENT)

    def test_pods_are_recognised(self):
        for args in self.PODS:
            with self.subTest(args=args):
                self.assert_decided(True, env={"CNI_ARGS": args})


class OwnConfiguration(DecisionCase):
    def test_excluded_namespaces(self):
        for key in ("excludeNamespaces", "exclude_namespaces"):
            self.assert_decided(False, **{key: ["kube-system", "demo"]})
            self.assert_decided(True, **{key: ["kube-system", "demo2", "dem"]})

    def test_the_last_namespace_argument_counts(self):
        keys = {"excludeNamespaces": ["other"]}
        last = KUBERNETES_ARGS + ";K8S_POD_NAMESPACE=other"
        self.assert_decided(False, env={"CNI_ARGS": last}, **keys)
        first = "K8S_POD_NAMESPACE=other;" + KUBERNETES_ARGS
        self.assert_decided(True, env={"CNI_ARGS": first}, **keys)

    def test_redirect_all(self):
        for annotations in (None, {}, {INJECT: "true"}):
            pod = self.pod()
            self.assert_decided(True, conf(annotations=annotations, pod=pod, redirect="all"), pod)
        for args in (None, "K8S_POD_NAME=c96fa7d040bb"):
            self.assert_decided(True, env={"CNI_ARGS": args}, runtimeConfig=ABSENT, redirect="all")
        self.assert_decided(True, redirect="injected")

    def test_a_passed_pod_is_never_looked_into(self):
        document = conf(proxyPort="many", backend="ebpf", excludeNamespaces="demo")
        for env in ({}, {"CNI_NETNS": "/proc/self/ns/mnt"}):
            outcome = run("ADD", document, env=env)
            self.assert_passed(outcome, document)
            self.assert_success_silent(run("CHECK", document, env=env))
        # The mistakes are told all the same.
        self.assertIn("proxyPort", outcome.stderr)
