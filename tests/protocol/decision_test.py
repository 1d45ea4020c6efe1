# SPDX-License-Identifier: GPL-2.0-or-later
"""Which pods are redirected, which are passed, and which are refused because that cannot be told."""

import json

from tests.protocol.contract import PluginCase
from tests.protocol.netconf import ABSENT, ANNOTATIONS_KEY, INJECTED_STATUS, STATUS, conf, injected, mesh_conf
from tests.protocol.runtime import KUBERNETES_ARGS, run

INJECT = "sidecar.istio.io/inject"
PROXY_CONFIG = "proxy.istio.io/config"
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
        for mode in ("Tproxy", "tproxy", "redirect", "none", "", "REDIRECT,NONE"):
            with self.subTest(mode=mode):
                self.assert_refused(MODE, mode, annotations=injected() | {MODE: mode})

    def test_annotations_that_are_read_must_be_strings(self):
        for key in (STATUS, INJECT, MODE, "traffic.sidecar.istio.io/includeInboundPorts", "sluice.dev/proxy-uid"):
            for value in (80, {"a": 1}, ["x"], True):
                with self.subTest(key=key, value=value):
                    self.assert_refused(key, annotations=injected() | {key: value})


class ProxyConfig(DecisionCase):
    """The annotation that holds YAML."""

    BOMB = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
        f"{chr(98 + i)}: &{chr(98 + i)} [{','.join(['*' + chr(97 + i)] * 9)}]\n" for i in range(9))
    REFUSED = (
        ("a: [", "YAML"), ("[]", "map"), ("x", "map"), ("a: 1\na: 2", "twice"), ("a: &x 1", "anchors"),
        ("a: *x", "YAML"), ("<<: {a: 1}", "merge"), ("a: !!binary aGk=", "tag"), ("a: 1\n---\nb: 1", "second"),
        ("interceptionMode: none", "none"), ("interceptionMode: [NONE]", "interceptionMode"),
        ("proxyMetadata: x", "proxyMetadata"), ("proxyMetadata: {ISTIO_DUAL_STACK: 'yes'}", "ISTIO_DUAL_STACK"),
        ("proxyMetadata: {ISTIO_META_DNS_CAPTURE: [1]}", "ISTIO_META_DNS_CAPTURE"),
        ("proxyMetadata: {ISTIO_OUTBOUND_OWNER_GROUPS: staff}", "staff"),
        ("a: \0", "control"), ("\ufeffa: 1", "byte order"), ("[" * 65536, "line 1"), ("{" * 65536, "line 1"), ("a: " + "[" * 65533, "line 1"),
        ("- " * 32768, "map"), ("? " * 32768, "key"), ("a: {" * 16384, "nested"), ("a: " + "x" * 65536, "65536"),
        (BOMB, "anchors"), ("a: b: c", "YAML"),
    )  # fmt: skip
    REDIRECTED = (
        "", "{}", "# nothing", "concurrency: 2\nproxyStatsMatcher: {inclusionRegexps: ['.*']}",
        '{"proxyMetadata": {"DISABLE_ENVOY": "false"}, "gatewayTopology": {"numTrustedProxies": 1}}',
        "proxyMetadata: {DISABLE_ENVOY: maybe}", "interceptionMode: REDIRECT",
    )  # fmt: skip
    PASSED = ("interceptionMode: NONE", '{"interception_mode": "NONE"}', "proxyMetadata:\n  DISABLE_ENVOY: 'true'\n")

    def test_what_leaves_a_pod_redirected(self):
        for text in self.REDIRECTED:
            with self.subTest(text=text):
                self.assert_decided(True, annotations=injected() | {PROXY_CONFIG: text})

    def test_what_turns_it_off(self):
        for text in self.PASSED:
            with self.subTest(text=text):
                self.assert_decided(False, annotations=injected() | {PROXY_CONFIG: text})

    def test_an_annotation_of_its_own_beats_it(self):
        more = {PROXY_CONFIG: "interceptionMode: NONE", MODE: "REDIRECT"}
        self.assert_decided(True, annotations=injected() | more)

    def test_what_cannot_be_read_is_refused_by_name(self):
        pod = self.pod()
        with self.unchanged(pod):
            for text, says in self.REFUSED:
                with self.subTest(text=text[:40]):
                    document = mesh_conf(pod, injected() | {PROXY_CONFIG: text})
                    self.assert_error(run("ADD", document, pod), 7, PROXY_CONFIG, says)

    def test_it_does_not_harm_a_pod_without_sidecar(self):
        pod = self.pod()
        for text, _ in self.REFUSED:
            document = mesh_conf(pod, {PROXY_CONFIG: text})
            with self.subTest(text=text[:40]), self.unchanged(pod):
                self.assert_passed(run("ADD", document, pod), document)


class Resolvers(DecisionCase):
    """What the runtime says of the pod's DNS servers matters only where queries to them are captured."""

    CAPTURE = "sluice.dev/dns-capture"
    NONE = (ABSENT, None, {}, {"Servers": None}, {"servers": []})
    BAD = (5, [], {"servers": "10.0.0.1"}, {"Servers": [5]}, {"Servers": ["dns.example"]}, {"servers": ["0.0.0.0"]})

    def document(self, pod, dns, annotations, **keys):
        runtime_config = {ANNOTATIONS_KEY: injected() | annotations}
        if dns is not ABSENT:
            runtime_config["dns"] = dns
        return mesh_conf(pod, runtimeConfig=runtime_config, **keys)

    def test_a_pod_that_does_not_need_them_is_not_harmed(self):
        for dns in (*self.NONE, *self.BAD):
            with self.subTest(dns=dns):
                pod = self.pod()
                self.assert_decided(True, self.document(pod, dns, {self.CAPTURE: "off"}), pod)

    def test_a_pod_that_needs_them_is_refused_without(self):
        pod = self.pod()
        for dns in (*self.NONE, *self.BAD):
            with self.subTest(dns=dns), self.unchanged(pod):
                document = self.document(pod, dns, {self.CAPTURE: "resolvers"})
                self.assert_error(run("ADD", document, pod), 7, "dnsCapture", "resolvers")

    def test_they_are_taken_from_the_runtime_else_from_the_configuration(self):
        for dns, wanted in (({"Servers": ["10.96.0.10"]}, "10.96.0.10"), ({"servers": ["10.96.0.11"]}, "10.96.0.11"),
                            (None, "10.0.0.1"), (ABSENT, "10.0.0.1")):  # fmt: skip
            with self.subTest(dns=dns):
                pod = self.pod()
                annotations = {self.CAPTURE: "resolvers"}
                document = self.document(pod, dns, annotations, dnsResolvers="10.0.0.1")
                self.assert_passed(run("ADD", document, pod), document)
                saved = pod.inside("iptables-legacy-save")
                self.assertIn(f"-d {wanted}/32 -p udp -m udp --dport 53 -j REDIRECT --to-ports 15053", saved)
                self.assert_success_silent(run("CHECK", document, pod))


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
