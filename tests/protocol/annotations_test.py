# SPDX-License-Identifier: GPL-2.0-or-later
"""The annotations of a redirected pod: good ones give exactly these rules, bad ones are refused by name."""

import re
from dataclasses import replace

from tests.protocol.contract import PluginCase
from tests.protocol.expected import DEFAULT
from tests.protocol.netconf import TRAFFIC, V4, V6, injected, mesh_conf
from tests.protocol.runtime import run

UID, GID, DUAL = "sluice.dev/proxy-uid", "sluice.dev/proxy-gid", "sluice.dev/dual-stack"
VIRTUAL, KUBEVIRT = "istio.io/reroute-virtual-interfaces", TRAFFIC + "kubevirtInterfaces"
EXCLUDED_UIDS, DNS = "sluice.dev/exclude-outbound-for-uids", "sluice.dev/dns-capture"
PORT_LISTS = ("includeInboundPorts", "excludeInboundPorts", "includeOutboundPorts", "excludeOutboundPorts")
RANGES = ("includeOutboundIPRanges", "excludeOutboundIPRanges")
BAD_PORTS = (
    "80,,90", "80,", ",80", ",", "0", "80,0", "70000", "65536", "-1", "+80", "8100-8000", "0-80", "80-70000",
    "80-", "-", "1-2-3", "80\n90", "80\n", "\n80", "http", "80;90", "80 90", "0x50", "1e3", "80.0", "８０", "80\0",
    "8000:8100", "80,*", "18446744073709551696",
)  # fmt: skip
BAD_CIDRS = (
    "10.0.0.0", "10.0.0.0/33", "10.0.0/8", "010.0.0.0/8", "10.0.0.0/", "/8", "10.0.0.0/08", "10.0.0.0/-1", "fd00::",
    "fd00::/129", "fd00::g/64", "fe80::1%eth0/64", "10.0.0.0/8,", "10.0.0.0/8,,fd00::/8", "10.0.0.0/8\n", "x",
    "10.0.0.0/8 fd00::/8", "*,10.0.0.0/8", "256.0.0.0/8",
)  # fmt: skip
BAD_INTERFACES = ("sixteen-bytes-xx", "eth0,", "eth0,,eth1", "eth 0", "eth0\n", "eth+", "a/b", "é", "$(reboot)", "*")
BAD_IDS = ("4294967295", "-1", "x", "1337,", "1337,,1", "1.0", "0x1", "1337\n", "1-2", "*", "")
BAD_GROUPS = ("4294967295", "-1", "staff", "5,", "5,,6", "1-2", "0x10", "5\n", "5,*")
BAD_EXCLUSIONS = (
    "1000", "tcp:443", "tcp:443:", "tcp:443:1000:5", ":443:1000", "TCP:443:1000", "sctp::5", "tcp:*:5", "tcp:443:*",
    "*", "tcp:0:5", "tcp:443:root", "tcp:443:9-8", "::1-5,3", "tcp:1-5,3:9", "udp::5;", ";udp::5", "udp::5;;udp::6",
    "udp::5\n", "::4294967295",
)  # fmt: skip
BAD = (
    *((VIRTUAL, value) for value in BAD_INTERFACES),
    *((KUBEVIRT, value) for value in BAD_INTERFACES),
    *(("sluice.dev/exclude-inbound-cidrs", value) for value in (*BAD_CIDRS, "*")),
    *(("sluice.dev/include-owner-groups", value) for value in BAD_GROUPS),
    *(("sluice.dev/exclude-owner-groups", value) for value in (*BAD_GROUPS, "*")),
    *((EXCLUDED_UIDS, value) for value in BAD_EXCLUSIONS),
    *((DNS, value) for value in ("", "true", "ALL", "all,resolvers", " off")),
    *((key, value) for key in ("sluice.dev/drop-invalid", "sluice.dev/log") for value in ("", "yes", "2", "true\n")),
    *((TRAFFIC + name, value) for name in PORT_LISTS for value in BAD_PORTS),
    *((TRAFFIC + name, "*") for name in PORT_LISTS[1:]),
    *((TRAFFIC + name, value) for name in RANGES for value in BAD_CIDRS),
    (TRAFFIC + "excludeOutboundIPRanges", "*"),
    *((TRAFFIC + "excludeInterfaces", value) for value in BAD_INTERFACES),
    *((key, value) for key in (UID, GID) for value in BAD_IDS),
    *((DUAL, value) for value in ("yes", "maybe", "2", "true\n")),
)  # fmt: skip

ALWAYS = DEFAULT.exclude_inbound
# (traffic annotation, its value, the rules that differ from the default's)
GOOD = (
    ("includeInboundPorts", "*", {}),
    ("includeInboundPorts", "", {"inbound": ()}),
    ("includeInboundPorts", "80", {"inbound": (80,)}),
    ("includeInboundPorts", " 80 ,\t8000-8100", {"inbound": (80, "8000-8100")}),
    ("includeInboundPorts", "1,65535", {"inbound": (1, 65535)}),
    ("excludeInboundPorts", "", {}),
    ("excludeInboundPorts", "22", {"exclude_inbound": ("22", *ALWAYS)}),
    ("excludeInboundPorts", "22,8000-8100", {"exclude_inbound": ("22", "8000-8100", *ALWAYS)}),
    ("includeOutboundPorts", "3306,5432", {"outbound_ports": ("3306", "5432")}),
    ("includeOutboundPorts", "9000-9010", {"outbound_ports": ("9000-9010",)}),
    ("excludeOutboundPorts", "", {"exclude_outbound_ports": ()}),
    ("excludeOutboundPorts", "25,1000-2000", {"exclude_outbound_ports": ("25", "1000-2000")}),
    ("includeOutboundIPRanges", "*", {}),
    ("includeOutboundIPRanges", "", {"outbound": ()}),
    ("includeOutboundIPRanges", "10.0.0.0/8,fd00::/8", {"outbound": ("10.0.0.0/8", "fd00::/8")}),
    ("includeOutboundIPRanges", "10.1.2.3/8", {"outbound": ("10.0.0.0/8",)}),
    ("includeOutboundIPRanges", " 10.0.0.0/8 , 172.16.0.0/12", {"outbound": ("10.0.0.0/8", "172.16.0.0/12")}),
    ("excludeOutboundIPRanges", "", {}),
    ("excludeOutboundIPRanges", "1.2.3.4/32,fd01::/16", {"exclude_outbound": ("1.2.3.4/32", "fd01::/16")}),
    ("excludeInterfaces", "net1", {"interfaces": ("net1",)}),
    ("excludeInterfaces", "net1, 2.net_x-y", {"interfaces": ("net1", "2.net_x-y")}),
)  # fmt: skip


class Refused(PluginCase):
    def assert_refused(self, pod, key, value):
        """The message quotes the value, or as much of it as is wrong."""
        outcome = run("ADD", mesh_conf(pod, injected() | {key: value}), pod)
        error = self.assert_error(outcome, 7, key)
        if value.isprintable() and value.isascii() and value:
            quoted = re.findall('"([^"]*)"', error["msg"])
            self.assertTrue([part for part in quoted if part and part in value], error["msg"])

    def test_bad_values_are_refused_by_name_with_nothing_changed(self):
        pod = self.pod()
        with self.unchanged(pod):
            for key, value in BAD:
                with self.subTest(key=key, value=value):
                    self.assert_refused(pod, key, value)

    def test_too_long_values_are_refused_and_cut_short_in_the_message(self):
        pod = self.pod()
        many = ",".join(str(port) for port in range(1, 8194))
        with self.unchanged(pod):
            for value in (many, "8" * 300000, " " * 262145 + "80", "80," + "x" * 1000):
                with self.subTest(value=value[:10]):
                    key = TRAFFIC + "excludeInboundPorts"
                    self.assert_error(run("ADD", mesh_conf(pod, injected() | {key: value}), pod), 7, key)

    def test_more_groups_than_a_rule_has_place_for(self):
        pod = self.pod()
        key, groups = "sluice.dev/include-owner-groups", ",".join(str(gid) for gid in range(65))
        with self.unchanged(pod):
            self.assert_error(run("ADD", mesh_conf(pod, injected() | {key: groups}), pod), 7, key, "64")

    def test_a_refusal_leaves_earlier_rules_alone(self):
        pod = self.pod()
        run("ADD", mesh_conf(pod), pod)
        with self.unchanged(pod):
            self.assert_refused(pod, TRAFFIC + "includeInboundPorts", "70000")
        self.assert_redirected(pod)

    def test_check_refuses_them_too_and_del_does_not(self):
        pod = self.pod()
        key = TRAFFIC + "excludeOutboundPorts"
        run("ADD", mesh_conf(pod), pod)
        document = mesh_conf(pod, injected() | {key: "80,,90"})
        self.assert_error(run("CHECK", document, pod), 7, key, "80,,90")
        self.assert_success_silent(run("DEL", document, pod))
        self.assert_not_redirected(pod)


class Contradictions(PluginCase):
    """Valid one by one, not together."""

    CASES = (
        ({DNS: "resolvers"}, {}, "dnsCapture"),
        ({"sluice.dev/include-owner-groups": "5", "sluice.dev/exclude-owner-groups": "6"}, {}, "excludeOwnerGroups"),
        ({"sluice.dev/include-owner-groups": ""}, {"excludeOwnerGroups": "6"}, "excludeOwnerGroups"),
        ({DNS: "all"}, {"dnsPort": 15001}, "dnsPort"),
        ({VIRTUAL: ",".join(f"v{i}" for i in range(100)),
          TRAFFIC + "includeOutboundIPRanges": ",".join(f"10.0.{i}.0/24" for i in range(100))}, {},
         "virtualInterfaces"),
    )  # fmt: skip

    def test_they_are_refused_by_name_with_nothing_changed(self):
        pod = self.pod()
        with self.unchanged(pod):
            for annotations, keys, name in self.CASES:
                with self.subTest(annotations=annotations, keys=keys):
                    document = mesh_conf(pod, injected() | annotations, **keys)
                    self.assert_error(run("ADD", document, pod), 7, name)
                    self.assert_error(run("CHECK", document, pod), 7, name)

    def test_a_pod_that_is_passed_is_not_asked(self):
        pod = self.pod()
        for annotations, keys, _ in self.CASES:
            for more in ({"sidecar.istio.io/inject": "false"}, {"sidecar.istio.io/interceptionMode": "NONE"}):
                document = mesh_conf(pod, injected() | annotations | more, **keys)
                with self.unchanged(pod):
                    self.assert_passed(run("ADD", document, pod), document)


class Accepted(PluginCase):
    def assert_rules(self, annotations, wanted, families=(4,), addresses=(V4,), **keys):
        pod = self.pod()
        document = mesh_conf(pod, annotations, addresses=addresses, **keys)
        self.assert_passed(run("ADD", document, pod), document)
        self.assert_redirected(pod, wanted, families)
        self.assert_success_silent(run("CHECK", document, pod))

    def test_each_traffic_annotation(self):
        for name, value, change in GOOD:
            with self.subTest(name=name, value=value):
                annotations = injected(**{name: value}) | {DUAL: "true"}
                self.assert_rules(annotations, replace(DEFAULT, **change), (4, 6), (V4, V6))

    def test_a_default_that_is_named_again_is_not_written_twice(self):
        annotations = injected(excludeInboundPorts="15090,22")
        self.assert_rules(annotations, replace(DEFAULT, exclude_inbound=("15090", "22", "15020", "15021")))

    def test_the_owner_of_the_proxy(self):
        for uid, gid in (("0", "0"), ("1000", "2000"), ("4294967294", "4294967294"), (" 7 ", "8")):
            with self.subTest(uid=uid, gid=gid):
                wanted = replace(DEFAULT, uids=(int(uid),), gids=(int(gid),))
                self.assert_rules(injected() | {UID: uid, GID: gid}, wanted)

    def test_exactly_as_many_entries_as_allowed(self):
        ports = tuple(str(port) for port in range(2, 8194))
        wanted = replace(DEFAULT, inbound=ports)
        self.assert_rules(injected(includeInboundPorts=",".join(ports)), wanted)

    def test_the_newer_name_of_virtual_interfaces_wins(self):
        pod = self.pod()
        document = mesh_conf(pod, injected(kubevirtInterfaces="$(reboot)") | {VIRTUAL: ""})
        self.assert_passed(run("ADD", document, pod), document)
        self.assert_redirected(pod)

    def test_annotations_together(self):
        annotations = injected(
            excludeInboundPorts="22", excludeOutboundPorts="25", includeOutboundPorts="3306",
            includeOutboundIPRanges="10.0.0.0/8", excludeOutboundIPRanges="10.9.0.0/16", excludeInterfaces="net1",
        )  # fmt: skip
        wanted = replace(
            DEFAULT, exclude_inbound=("22", *ALWAYS), exclude_outbound_ports=("25",), outbound_ports=("3306",),
            outbound=("10.0.0.0/8",), exclude_outbound=("10.9.0.0/16",), interfaces=("net1",),
        )  # fmt: skip
        self.assert_rules(annotations, wanted)


class Families(PluginCase):
    def assert_families(self, families, addresses, annotations=None, **keys):
        pod = self.pod()
        document = mesh_conf(pod, injected() | (annotations or {}), addresses=addresses, **keys)
        self.assert_passed(run("ADD", document, pod), document)
        self.assert_redirected(pod, DEFAULT, families)
        self.assert_success_silent(run("CHECK", document, pod))
        self.assert_success_silent(run("DEL", document, pod))
        self.assert_not_redirected(pod)

    def test_the_first_address_decides(self):
        self.assert_families((4,), (V4,))
        self.assert_families((4,), (V4, V6))
        self.assert_families((4, 6), (V6,))
        self.assert_families((4, 6), (V6, V4))

    def test_dual_stack(self):
        for value in ("true", "1", "True"):
            self.assert_families((4, 6), (V4, V6), {DUAL: value})
        self.assert_families((4,), (V4, V6), {DUAL: "false"})
        self.assert_families((4, 6), (V4, V6), dualStack=True)
        self.assert_families((4,), (V4, V6), {DUAL: "false"}, dualStack=True)

    def test_the_configuration_can_decide(self):
        self.assert_families((4, 6), (V4,), ipv6="always")
        self.assert_families((4,), (V4, V6), ipv6="auto")
        self.assert_families((4,), (V4, V6), ipv6="never")

    def test_ipv6_can_be_blocked_instead(self):
        pod = self.pod()
        document = mesh_conf(pod, addresses=(V4, V6), ipv6="block")
        self.assert_passed(run("ADD", document, pod), document)
        self.assert_redirected(pod, DEFAULT, (4,))
        saved = pod.inside("ip6tables-legacy-save")
        self.assertIn("*filter", saved)
        self.assertIn("-j REJECT --reject-with tcp-reset", saved)
        self.assert_success_silent(run("CHECK", document, pod))
        self.assert_success_silent(run("DEL", document, pod))
        self.assertNotIn("\n-A", pod.snapshot())

    def test_a_pod_without_ipv6_is_served_all_the_same(self):
        pod = self.pod()
        pod.inside("sh", "-c", "echo 1 > /proc/sys/net/ipv6/conf/all/disable_ipv6")
        document = mesh_conf(pod, addresses=(V4,), dualStack=True)
        self.assert_passed(run("ADD", document, pod), document)
        self.assertEqual(pod.nat(4), DEFAULT.chains(4))
        self.assert_success_silent(run("CHECK", document, pod))
        self.assert_success_silent(run("DEL", document, pod))
        self.assert_not_redirected(pod)

    def test_only_addresses_of_the_named_interface_count(self):
        for sandbox in ("", "/run/netns/x"):
            pod = self.pod()
            document = mesh_conf(pod, addresses=(V6, V4))
            document["prevResult"]["interfaces"].append({"name": "net1", "sandbox": sandbox})
            document["prevResult"]["ips"][0]["interface"] = 2
            self.assert_passed(run("ADD", document, pod), document)
            self.assert_redirected(pod, DEFAULT, (4,))
