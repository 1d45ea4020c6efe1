# SPDX-License-Identifier: GPL-2.0-or-later
"""The plugin's own configuration keys."""

import json
from dataclasses import replace

from tests.protocol.contract import PluginCase
from tests.protocol.expected import DEFAULT
from tests.protocol.netconf import V4, V6, injected, mesh_conf
from tests.protocol.runtime import run

PORT_KEYS = ("proxyPort", "inboundCapturePort", "inboundTunnelPort")
BAD_PORTS = (0, -1, 65536, 1.5, "15001", True, [], {}, 2**64)
ID_KEYS = ("proxyUid", "proxyGid")
BAD_IDS = (-1, 4294967295, 1.5, "1337", True, [], ["1337"], [1337, -1], {})
NUMBERS = {
    "tproxyMark": (0, -1, 1338, "0x53a", 2**32, 1.5, "", "0x", "1337/0xff", True, [1]),
    "tproxyTable": (0, 253, 254, 255, "main", -1, 2**32, True),
    "dnsPort": BAD_PORTS,
}
WORDS = {
    "dnsCapture": ("", "true", True, 5),
    "dropInvalid": ("true", 1),
    "log": ("true", 0),
    "backend": ("ebpf", "", "XTABLES", "nft", 5),
    "nftTable": ("", "1mesh", "a b", "a;b", "a\n", 32 * "x", 5),
    "layout": ("istio-1.7", "", 5),
    "redirect": ("none", "", True),
    "onMissingAnnotations": ("ignore", "", False),
    "ipv6": ("yes", "", True),
    "logLevel": ("loud", "", 3),
    "plugin_log_level": ("loud", 3),
    "dualStack": ("true", 1),
    "excludeNamespaces": ("demo", [5], {}),
    "namespaces": ([], "x", {"demo": 5}, {"demo": {"proxyUid": "x"}}, {"demo": {"proxyGid": -1}}),
}
LISTS = {
    "includeInboundPorts": ("80,,90", "70000", 80, [80]),
    "excludeInboundPorts": ("*", "x", 80),
    "includeOutboundPorts": ("*", "9-8"),
    "excludeOutboundPorts": ("*", "0"),
    "includeOutboundCidrs": ("10.0.0.0", ["10.0.0.0/8"]),
    "excludeOutboundCidrs": ("*", "10.0.0.0/33"),
    "excludeInterfaces": ("a/b", 5),
    "virtualInterfaces": ("vnet+", 5, ["vnet0"]),
    "excludeInboundCidrs": ("*", "10.0.0.0", 5),
    "excludeOutboundForUids": ("1000", ":80:5", "::*", 5),
    "includeOwnerGroups": ("staff", "1,*", 5),
    "excludeOwnerGroups": ("*", "-1", [5]),
    "dnsResolvers": ("*", "dns.example", "10.0.0.1/32", "0.0.0.0", ["10.0.0.1"]),
    "ipv4LoopbackCidr": ("", "127.0.0.1", "10.0.0.0/8", "127.0.0.0/7", "::1/128", 5),
}
BAD = (
    *((key, value) for key in PORT_KEYS for value in BAD_PORTS),
    *((key, value) for key in ID_KEYS for value in BAD_IDS),
    *((key, value) for words in (WORDS, NUMBERS, LISTS) for key, values in words.items() for value in values),
)
ALWAYS = DEFAULT.exclude_inbound
# (configuration, the rules that differ from the default's)
GOOD = (
    ({"backend": "auto", "layout": "istio", "redirect": "injected", "logLevel": "debug"}, {}),
    ({"backend": "xtables", "plugin_log_level": "info", "dualStack": False, "ipv6": "auto"}, {}),
    ({"nftTable": "mesh_1.a-b"}, {}),
    ({"excludeNamespaces": [], "namespaces": {}, "onMissingAnnotations": "fail"}, {}),
    ({"proxyPort": 1, "inboundCapturePort": 65535}, {"outbound_port": 1, "inbound_port": 65535}),
    ({"proxyPort": 16001.0, "inboundTunnelPort": 1.6e4}, {"outbound_port": 16001, "tunnel_port": 16000}),
    ({"proxyUid": 0, "proxyGid": 4294967294}, {"uids": (0,), "gids": (4294967294,)}),
    ({"proxyUid": [7], "proxyGid": [8.0]}, {"uids": (7,), "gids": (8,)}),
    ({"proxyUid": [20, 10], "proxyGid": [40, 30]}, {"uids": (20, 10), "gids": (40, 30)}),
    ({"namespaces": {"demo": {"proxyUid": 7, "proxyGid": 8}}}, {"uids": (7,), "gids": (8,)}),
    ({"namespaces": {"demo": {"proxyUid": 7}}, "proxyUid": 9}, {"uids": (7,)}),
    ({"namespaces": {"other": {"proxyUid": 7}}}, {}),
    ({"includeInboundPorts": "80,81"}, {"inbound": (80, 81)}),
    ({"excludeInboundPorts": "22"}, {"exclude_inbound": ("22", *ALWAYS)}),
    ({"includeOutboundPorts": "3306"}, {"outbound_ports": ("3306",)}),
    ({"excludeOutboundPorts": "25"}, {"exclude_outbound_ports": ("25",)}),
    ({"includeOutboundCidrs": "10.0.0.0/8"}, {"outbound": ("10.0.0.0/8",)}),
    ({"excludeOutboundCidrs": "10.9.0.0/16"}, {"exclude_outbound": ("10.9.0.0/16",)}),
    ({"excludeInterfaces": "net1"}, {"interfaces": ("net1",)}),
)


class Refused(PluginCase):
    def test_bad_values_are_refused_by_name_with_nothing_changed(self):
        pod = self.pod()
        with self.unchanged(pod):
            for key, value in BAD:
                with self.subTest(key=key, value=value):
                    self.assert_error(run("ADD", mesh_conf(pod, **{key: value}), pod), 7, key)

    def test_a_number_beyond_all_doubles_is_refused(self):
        pod = self.pod()
        text = json.dumps(mesh_conf(pod, proxyPort=1)).replace('"proxyPort": 1', '"proxyPort": 1e400')
        with self.unchanged(pod):
            self.assert_error(run("ADD", text, pod), (6, 7))

    def test_null_is_not_a_value(self):
        for key in sorted({key for key, _ in BAD}):
            pod = self.pod()
            with self.subTest(key=key), self.unchanged(pod):
                self.assert_error(run("ADD", mesh_conf(pod, **{key: None}), pod), 7, key)

    def test_the_value_is_named(self):
        pod = self.pod()
        for key, value in (("backend", "ebpf"), ("layout", "istio-1.7"), ("proxyPort", 70000), ("ipv6", "yes")):
            self.assert_error(run("ADD", mesh_conf(pod, **{key: value}), pod), 7, key, str(value))

    def test_check_refuses_them_too(self):
        pod = self.pod()
        run("ADD", mesh_conf(pod), pod)
        for key, value in (("proxyPort", 0), ("backend", "ebpf"), ("excludeInterfaces", "a/b")):
            self.assert_error(run("CHECK", mesh_conf(pod, **{key: value}), pod), 7, key)

    def test_del_only_warns(self):
        pod = self.pod()
        for key, value in (("proxyPort", 0), ("backend", "ebpf"), ("excludeInterfaces", "a/b")):
            run("ADD", mesh_conf(pod), pod)
            outcome = run("DEL", mesh_conf(pod, **{key: value}), pod)
            self.assert_success_silent(outcome)
            self.assertIn(key, outcome.stderr)
            self.assert_not_redirected(pod)

    def test_keys_that_contradict_each_other_are_refused(self):
        pod = self.pod()
        for keys, name in (({"proxyPort": 15006}, "inboundCapturePort"),
                           ({"includeOwnerGroups": "1", "excludeOwnerGroups": "2"}, "excludeOwnerGroups"),
                           ({"dnsCapture": "all", "dnsPort": 15001}, "dnsPort")):  # fmt: skip
            with self.subTest(keys=keys), self.unchanged(pod):
                self.assert_error(run("ADD", mesh_conf(pod, **keys), pod), 7, name)
                self.assert_error(run("STATUS", mesh_conf(pod, **keys)), 7, name)

    def test_status_refuses_them(self):
        self.assert_error(run("STATUS", mesh_conf(self.pod(), proxyPort=0)), 7, "proxyPort")


class Accepted(PluginCase):
    def assert_rules(self, document, pod, wanted, families=(4,)):
        self.assert_passed(run("ADD", document, pod), document)
        self.assert_redirected(pod, wanted, families)
        self.assert_success_silent(run("CHECK", document, pod))

    def test_each_key(self):
        for keys, change in GOOD:
            with self.subTest(keys=keys):
                pod = self.pod()
                self.assert_rules(mesh_conf(pod, **keys), pod, replace(DEFAULT, **change))

    def test_annotations_win(self):
        pod = self.pod()
        annotations = injected(includeInboundPorts="443") | {"sluice.dev/proxy-uid": "7"}
        keys = {"includeInboundPorts": "80", "proxyUid": 8, "namespaces": {"demo": {"proxyUid": 9}}}
        self.assert_rules(mesh_conf(pod, annotations, **keys), pod, replace(DEFAULT, inbound=(443,), uids=(7,)))

    def test_unknown_keys_are_only_warned_about(self):
        pod = self.pod()
        document = mesh_conf(pod, proxyProt=1, args="x", ipam="x", dns="x", capabilities=[])
        outcome = run("ADD", document, pod)
        self.assert_passed(outcome, document)
        self.assert_redirected(pod)
        self.assertIn("proxyProt", outcome.stderr)

    def test_the_log_level_silences_stderr(self):
        for keys in ({"logLevel": "none"}, {"plugin_log_level": "none"}):
            pod = self.pod()
            self.assertEqual(run("ADD", mesh_conf(pod, proxyProt=1, **keys), pod).stderr, "")

    def test_the_old_layout_differs_but_is_whole(self):
        pod = self.pod()
        document = mesh_conf(pod, layout="istio-1.6", addresses=(V4, V6), dualStack=True)
        self.assert_passed(run("ADD", document, pod), document)
        for family in (4, 6):
            chains = pod.nat(family)
            self.assertLessEqual(set(DEFAULT.chains(family)), set(chains))
            # Meshes of that time had no tunnel port, and left all but TCP alone from the start.
            self.assertEqual(chains["OUTPUT"], ["-p tcp -j ISTIO_OUTPUT"])
            self.assertNotIn("15008", str(chains))
        self.assert_success_silent(run("CHECK", document, pod))
        self.assert_error(run("CHECK", mesh_conf(pod, addresses=(V4, V6), dualStack=True), pod), 105)
