# SPDX-License-Identifier: GPL-2.0-or-later
"""What ADD, DEL and CHECK do to a live namespace over a pod's life, and what they leave alone in it."""

from dataclasses import replace

from tests.protocol.contract import PluginCase
from tests.protocol.expected import DEFAULT
from tests.protocol.netconf import ABSENT, V4, V6, conf, injected, mesh_conf
from tests.protocol.runtime import run

# Rules of somebody else, with counters, before and behind the places where ours go. The policies of nat
# count nothing: iptables itself clears their counters whenever it changes the table.
FOREIGN_NAT = """*nat
:PREROUTING ACCEPT [0:0]
:INPUT ACCEPT [0:0]
:OUTPUT ACCEPT [0:0]
:POSTROUTING ACCEPT [0:0]
:OTHER_MESH - [0:0]
:ZZZ - [0:0]
[11:660] -A PREROUTING -i net9 -j ACCEPT
[12:720] -A PREROUTING -p udp -m udp --dport 53 -j OTHER_MESH
[13:780] -A OUTPUT -d 169.254.169.254/32 -p tcp -m tcp --dport 80 -j OTHER_MESH
[14:840] -A POSTROUTING -s 10.78.0.0/24 -o net9 -j MASQUERADE
[15:900] -A OTHER_MESH -p tcp -m comment --comment "not ours" -m mark --mark 0x5/0xff -j DNAT --to-destination 127.0.0.1
[16:960] -A ZZZ -m multiport -p tcp --dports 1,2:3 -j RETURN
COMMIT
"""
FOREIGN_FILTER = """*filter
:INPUT ACCEPT [5:300]
:FORWARD DROP [6:360]
:OUTPUT ACCEPT [7:420]
[17:1020] -A INPUT -s 192.0.2.0/24 -j DROP
COMMIT
"""


class LifeCase(PluginCase):
    def add(self, pod, **keys):
        document = mesh_conf(pod, **keys)
        self.assert_passed(run("ADD", document, pod), document)

    def delete(self, pod, **keys):
        self.assert_success_silent(run("DEL", mesh_conf(pod, **keys), pod))


class Add(LifeCase):
    def test_twice_is_as_once(self):
        pod = self.pod()
        for _ in range(3):
            self.add(pod, addresses=(V6, V4))
            self.assert_redirected(pod, families=(4, 6))

    def test_other_wishes_replace_the_first(self):
        pod = self.pod()
        self.add(pod, includeInboundPorts="80,81", excludeInterfaces="net1", proxyUid=[1, 2])
        self.add(pod, annotations=injected(excludeInboundPorts="22"))
        self.assert_redirected(pod, replace(DEFAULT, exclude_inbound=("22", *DEFAULT.exclude_inbound)))

    def test_a_damaged_set_of_rules_is_made_whole(self):
        pod = self.pod()
        self.add(pod)
        pod.inside("iptables-legacy", "-t", "nat", "-F", "ISTIO_OUTPUT")
        pod.inside("iptables-legacy", "-t", "nat", "-D", "PREROUTING", "1")
        self.add(pod)
        self.assert_redirected(pod)

    def test_a_second_network_of_the_pod_changes_nothing(self):
        pod = self.pod()
        pod.add_interface("net1")
        self.add(pod)
        document = mesh_conf(pod)
        self.assert_passed(run("ADD", document, pod, env={"CNI_IFNAME": "net1"}), document)
        self.assert_redirected(pod)

    def test_only_the_nat_tables_come_into_use(self):
        pod = self.pod()
        self.add(pod, addresses=(V6,))
        tables = [line for line in pod.snapshot().splitlines() if line.startswith("*")]
        self.assertEqual(tables, ["*nat", "*nat"])

    def test_a_family_without_rules_stays_unused(self):
        pod = self.pod()
        self.add(pod)
        self.assertEqual(pod.inside("ip6tables-legacy-save"), "")


class Del(LifeCase):
    def test_it_undoes_add(self):
        pod = self.pod()
        self.add(pod, addresses=(V6, V4))
        self.delete(pod, addresses=(V6, V4))
        self.assert_not_redirected(pod)

    def test_again_and_again(self):
        pod = self.pod()
        self.add(pod)
        for _ in range(3):
            self.delete(pod)
            self.assert_not_redirected(pod)
        self.add(pod)
        self.assert_redirected(pod)

    def test_without_add_it_leaves_no_trace(self):
        pod = self.pod()
        with self.unchanged(pod):
            self.delete(pod)

    def test_it_needs_nothing_but_the_namespace(self):
        pod = self.pod()
        for version in ("0.1.0", "0.3.1", "1.1.0"):
            self.add(pod, addresses=(V6, V4))
            document = conf(version, prevResult=ABSENT, runtimeConfig=ABSENT, capabilities=ABSENT)
            self.assert_success_silent(run("DEL", document, pod, env={"CNI_ARGS": None}))
            self.assert_not_redirected(pod)

    def test_another_configuration_than_at_add_removes_all(self):
        pod = self.pod()
        self.add(pod, layout="istio-1.6", proxyPort=1, excludeInterfaces="net1", ipv6="always")
        self.delete(pod, layout="istio", ipv6="never", excludeNamespaces=["demo"])
        self.assert_not_redirected(pod)

    def test_while_another_network_is_attached_the_rules_stay(self):
        pod = self.pod()
        pod.add_interface("net1")
        self.add(pod)
        with self.unchanged(pod):
            self.delete(pod)
            self.assert_success_silent(run("DEL", mesh_conf(pod), pod, env={"CNI_IFNAME": "net1"}))
        pod.ip("link del eth0")
        self.assert_success_silent(run("DEL", mesh_conf(pod), pod, env={"CNI_IFNAME": "net1"}))
        self.assert_not_redirected(pod)

    def test_an_unsupported_version_removes_nothing(self):
        pod = self.pod()
        self.add(pod)
        with self.unchanged(pod):
            self.assert_error(run("DEL", mesh_conf(pod, cniVersion="9.9.9"), pod), 1)

    def test_the_namespace_of_another_pod_stays_as_it_is(self):
        pod, other = self.pod(), self.pod()
        self.add(pod)
        self.add(other)
        with self.unchanged(other):
            self.delete(pod)


class Check(LifeCase):
    def check(self, pod, **keys):
        return run("CHECK", mesh_conf(pod, **keys), pod)

    def test_right_after_add(self):
        for version in ("0.4.0", "1.0.0", "1.1.0"):
            for addresses in ((V4,), (V6,)):
                pod = self.pod()
                self.add(pod, version=version, addresses=addresses)
                with self.unchanged(pod):
                    for _ in range(3):
                        self.assert_success_silent(self.check(pod, version=version, addresses=addresses))

    def test_without_add(self):
        pod = self.pod()
        with self.unchanged(pod):
            self.assert_error(self.check(pod), 105, "ISTIO_")

    def test_after_del(self):
        pod = self.pod()
        self.add(pod)
        self.delete(pod)
        self.assert_error(self.check(pod), 105)

    def test_each_change_is_found_and_named(self):
        changes = (
            ("ISTIO_OUTPUT", "-D ISTIO_OUTPUT 3"), ("ISTIO_INBOUND", "-D ISTIO_INBOUND 1"),
            ("ISTIO_OUTPUT", "-A ISTIO_OUTPUT -p tcp -j RETURN"), ("ISTIO_OUTPUT", "-I ISTIO_OUTPUT -j RETURN"),
            ("ISTIO_REDIRECT", "-R ISTIO_REDIRECT 1 -p tcp -j REDIRECT --to-ports 15009"),
            ("ISTIO_INBOUND", "-F ISTIO_INBOUND"), ("PREROUTING", "-F PREROUTING"), ("OUTPUT", "-F OUTPUT"),
        )  # fmt: skip
        for chain, change in changes:
            with self.subTest(change=change):
                pod = self.pod()
                self.add(pod)
                pod.inside("iptables-legacy", "-t", "nat", *change.split())
                with self.unchanged(pod):
                    self.assert_error(self.check(pod), 105, chain)

    def test_another_order_is_found(self):
        pod = self.pod()
        self.add(pod)
        first, second = pod.nat()["ISTIO_OUTPUT"][2:4]
        for rule in (f"-D ISTIO_OUTPUT {first}", f"-I ISTIO_OUTPUT 4 {first}"):
            pod.inside("iptables-legacy", "-t", "nat", *rule.split())
        self.assertEqual(pod.nat()["ISTIO_OUTPUT"][2:4], [second, first])
        self.assert_error(self.check(pod), 105, "ISTIO_OUTPUT")

    def test_the_second_family_counts(self):
        pod = self.pod()
        self.add(pod, addresses=(V6,))
        pod.inside("ip6tables-legacy", "-t", "nat", "-D", "ISTIO_IN_REDIRECT", "1")
        self.assert_error(self.check(pod, addresses=(V6,)), 105, "ISTIO_IN_REDIRECT")

    def test_the_address_on_loopback_counts(self):
        pod = self.pod()
        self.add(pod, addresses=(V6,))
        pod.ip("addr del ::6/128 dev lo")
        self.assert_error(self.check(pod, addresses=(V6,)), 105, "::6")

    def test_other_wishes_than_at_add_are_a_difference(self):
        pod = self.pod()
        self.add(pod)
        self.assert_error(self.check(pod, includeInboundPorts="80"), 105, "ISTIO_INBOUND")

    def test_what_others_change_later_is_none_of_ours(self):
        pod = self.pod()
        self.add(pod)
        pod.inside("iptables-legacy-restore", "--noflush", text=FOREIGN_FILTER)
        pod.inside("iptables-legacy", "-t", "nat", "-A", "POSTROUTING", "-o", "net9", "-j", "MASQUERADE")
        pod.ip("link set eth0 mtu 1400", "link set eth0 address 02:00:00:00:00:01", "link set eth0 promisc on")
        self.assert_success_silent(self.check(pod))

    def test_a_missing_interface(self):
        pod = self.pod()
        self.add(pod)
        outcome = run("CHECK", mesh_conf(pod), pod, env={"CNI_IFNAME": "eth7"})
        self.assert_error(outcome, (101, 105), "eth7")


class Foreign(LifeCase):
    def foreign_pod(self):
        pod = self.pod()
        pod.inside("iptables-legacy-restore", "--counters", text=FOREIGN_NAT + FOREIGN_FILTER)
        return pod

    def saved(self, pod):
        lines = pod.inside("iptables-legacy-save", "-c").splitlines()
        return [line for line in lines if not line.startswith("#")]

    def test_rules_and_counters_survive_add(self):
        pod = self.foreign_pod()
        before = self.saved(pod)
        self.add(pod)
        self.add(pod)
        self.assertEqual([line for line in self.saved(pod) if "ISTIO_" not in line], before)

    def test_rules_and_counters_survive_add_and_del_byte_for_byte(self):
        pod = self.foreign_pod()
        before = self.saved(pod)
        self.add(pod, excludeInterfaces="net1")
        self.delete(pod)
        self.assertEqual(self.saved(pod), before)

    def test_ours_are_whole_beside_them(self):
        pod = self.foreign_pod()
        self.add(pod)
        chains = pod.nat()
        for chain, rules in DEFAULT.chains().items():
            self.assertEqual([rule for rule in chains[chain] if rule in rules], rules, chain)
        self.assert_success_silent(run("CHECK", mesh_conf(pod), pod))

    def test_a_foreign_rule_like_ours_is_not_taken_away(self):
        pod = self.pod()
        pod.inside("iptables-legacy", "-t", "nat", "-A", "OUTPUT", "-o", "net1", "-j", "RETURN")
        with self.unchanged(pod):
            self.add(pod)
            self.delete(pod)
