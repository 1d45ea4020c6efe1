# SPDX-License-Identifier: GPL-2.0-or-later
"""runtimeConfig and annotations: A-186 to A-193."""

import re

from tests.conformance.cases import case
from tests.conformance.conformance import RULES, ConformanceCase, ours, state
from tests.protocol.netconf import ABSENT, ANNOTATIONS_KEY, STATUS, TRAFFIC, injected

INJECT = "sidecar.istio.io/inject"
PORTS = TRAFFIC + "includeInboundPorts"
CIDRS = TRAFFIC + "excludeOutboundIPRanges"
INTERFACES = TRAFFIC + "excludeInterfaces"
# Each would mean something to a shell, to iptables, to nft or to a log.
HOSTILE = (
    "80\n-j ACCEPT", '80"', "80';reboot", "$(reboot)", "80\0", '{"a":80}', "\u202e08", "😀", "1e3", "80,", "0-70000",
    "80;flush ruleset", "8" * 256 * 1024, "%n%s", "-1", "--dport 80", "15001 }", "80\rerror",
)  # fmt: skip
PORT_MAPPINGS = (
    None, [], [{"hostPort": 80, "protocol": "TCP"}], [{"hostPort": 0}], [{"hostPort": -1}], [{"hostPort": 65536}],
    [{"hostPort": 8080.0}], [{"hostPort": 80}] * 2, [{"protocol": ""}], [{"protocol": "sctp"}], "x", 5, [None],
)  # fmt: skip


def config(annotations=ABSENT, **members):
    return members if annotations is ABSENT else {ANNOTATIONS_KEY: annotations, **members}


class RuntimeConfig(ConformanceCase):
    def passed_by(self, document, pod):
        with self.many(pod):
            self.passes(document, pod)
            self.silent("CHECK", document, pod)

    def unmoved(self, **members):
        """These members of runtimeConfig make no difference to a redirected pod."""
        pod = self.pod()
        document = ours(pod, runtimeConfig=config(injected(), **members))
        self.add(pod, document)
        self.silent("CHECK", document, pod)
        self.assert_as(pod)
        self.delete(pod, document)

    @case("A-186", "annotations that are null or empty are none; absent ones were not sent, which is another matter")
    def test_a_186(self):
        for annotations in (None, {}):
            pod = self.pod()
            self.passed_by(ours(pod, runtimeConfig=config(annotations)), pod)
        pod = self.pod()
        for value in (ABSENT, {}, None):
            self.refused("ADD", ours(pod, runtimeConfig=value), 7, ANNOTATIONS_KEY, pod=pod)
            self.passed_by(ours(pod, runtimeConfig=value, onMissingAnnotations="pass"), pod)

    @case("A-187", "an annotation that is no string fails ADD by name if it is read, and never DEL")
    def test_a_187(self):
        for key in (STATUS, INJECT, PORTS, "sluice.dev/proxy-uid"):
            for value in (80, {"a": 1}, ["x"], True):
                with self.subTest(key=key, value=value):
                    pod = self.pod()
                    document = ours(pod, injected() | {key: value})
                    self.refused("ADD", document, 7, key, pod=pod)
                    self.silent("DEL", document, pod)
        pod = self.pod()
        self.add(pod, ours(pod, injected() | {"app.example/other": 5, "sidecar.istio.io/unread": {}}))

    @case("A-188", "what a tenant writes is data: refused by name, on one short line, or written as it is meant")
    def test_a_188(self):
        pod = self.pod()
        with self.many(pod):
            for key in (PORTS, CIDRS, INTERFACES):
                for value in HOSTILE:
                    with self.subTest(key=key, value=value[:20]):
                        if key == INTERFACES and re.fullmatch("[-A-Za-z0-9_.]{1,15}", value):
                            continue  # an interface may be called so
                        error = self.refused("ADD", ours(pod, injected() | {key: value}), 7, key, pod=pod)
                        self.assertLess(len(error["msg"]), 400)
        pod = self.pod()
        self.add(pod, ours(pod, injected(includeInboundPorts=" 16080 ,16081")))
        written = state(pod, RULES)
        for port in ("16080", "16081"):
            self.assertIn(port, written)
        for value in ("\n".join(HOSTILE[:-1]), "😀" * 1000):
            pod = self.pod()
            self.add(pod, ours(pod, injected() | {"app.example/unread": value}))
            self.assert_as(pod)

    @case("A-189", "annotations that contradict each other are refused by name, an unknown one is let be, and an "
                   "annotation beats the configuration")  # fmt: skip
    def test_a_189(self):
        pod = self.pod()
        groups = {"sluice.dev/include-owner-groups": "5", "sluice.dev/exclude-owner-groups": "6"}
        self.refused("ADD", ours(pod, injected() | groups), 7, "excludeOwnerGroups", pod=pod)
        both = injected(includeInboundPorts="80", excludeInboundPorts="80")
        self.add(pod, ours(pod, both, includeInboundPorts="16090"))
        self.assertNotIn("16090", state(pod, RULES))
        self.add(pod, ours(pod, injected() | {"sluice.dev/unknown": "x"}))
        self.assert_as(pod)

    @case("A-190", "port mappings in either spelling are another plugin's")
    def test_a_190(self):
        for spelling in (str, lambda key: key[0].upper() + key[1:]):
            mapping = {"hostPort": 8080, "containerPort": 80, "protocol": "tcp", "hostIP": ""}
            self.unmoved(portMappings=[{spelling(key): value for key, value in mapping.items()}])

    @case("A-191", "port mappings of any kind are another plugin's")
    def test_a_191(self):
        for value in PORT_MAPPINGS:
            with self.subTest(value=value):
                self.unmoved(portMappings=value)

    @case("A-192", "null among the name servers and numbers beyond all bounds do no harm")
    def test_a_192(self):
        for dns in ({"Servers": None, "Searches": None, "Options": None}, None, {}, {"servers": []}):
            self.unmoved(dns=dns, bandwidth={"ingressRate": 18446744073709551615, "EgressBurst": 1e300})

    @case("A-193", "what was not asked for is ignored")
    def test_a_193(self):
        self.unmoved(mac="not a mac", ips="x", ipRanges=5, deviceID=[], cgroupPath={}, aliases=None, future={"a": 1})
