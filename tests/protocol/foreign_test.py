# SPDX-License-Identifier: GPL-2.0-or-later
"""Rules, jumps and networks of others in the pod's namespace."""

from tests.protocol.contract import PluginCase
from tests.protocol.netconf import V4, V6, injected, mesh_conf
from tests.protocol.runtime import run


class Rules(PluginCase):
    def nat(self, pod, *words):
        pod.inside("iptables-legacy", "-t", "nat", *words)

    def test_interface_rules_that_adjoin_ours_stay(self):
        pod = self.pod()
        self.nat(pod, "-A", "PREROUTING", "-i", "net1", "-j", "RETURN")
        self.nat(pod, "-A", "OUTPUT", "-o", "net1", "-j", "RETURN")
        document = mesh_conf(pod)
        self.assertEqual(run("ADD", document, pod).rc, 0)
        self.assertEqual(pod.nat()["PREROUTING"], ["-i net1 -j RETURN", "-p tcp -j ISTIO_INBOUND"])
        self.assertEqual(pod.nat()["OUTPUT"], ["-o net1 -j RETURN", "-j ISTIO_OUTPUT"])
        self.assert_success_silent(run("CHECK", document, pod))

    def test_new_wishes_come_where_the_old_ones_stood(self):
        pod = self.pod()
        run("ADD", mesh_conf(pod), pod)
        self.nat(pod, "-A", "OUTPUT", "-p", "tcp", "-j", "ACCEPT")
        document = mesh_conf(pod, injected(excludeOutboundPorts="25", excludeInterfaces="net1"))
        self.assertEqual(run("ADD", document, pod).rc, 0)
        self.assertEqual(pod.nat()["OUTPUT"],
                         ["-o net1 -j RETURN", "-j ISTIO_OUTPUT", "-p tcp -j ACCEPT"])
        self.assert_success_silent(run("CHECK", document, pod))

    def test_rules_that_decide_before_ours_are_said(self):
        pod = self.pod()
        self.nat(pod, "-A", "OUTPUT", "-p", "tcp", "-j", "ACCEPT")
        outcome = run("ADD", mesh_conf(pod), pod)
        self.assertEqual(outcome.rc, 0, outcome)
        self.assertIn('stand before ours in chain "OUTPUT"', outcome.stderr)
        self.assertNotIn("PREROUTING", outcome.stderr)

    def test_a_goto_into_our_chains_goes_with_them(self):
        pod = self.pod()
        run("ADD", mesh_conf(pod), pod)
        self.nat(pod, "-N", "OTHER")
        self.nat(pod, "-A", "OTHER", "-p", "tcp", "-g", "ISTIO_OUTPUT")
        self.assertEqual(run("ADD", mesh_conf(pod, injected(excludeOutboundPorts="25")), pod).rc, 0)
        self.assert_success_silent(run("DEL", mesh_conf(pod), pod))
        self.assertEqual(pod.nat().get("OTHER", []), [])
        self.assertNotIn("ISTIO_OUTPUT", pod.nat())

    def test_what_a_pod_writes_stays_one_line(self):
        pod = self.pod()
        run("ADD", mesh_conf(pod), pod)
        self.nat(pod, "-A", "ISTIO_OUTPUT", "-o", "a\nerror: \t", "-j", "RETURN")
        outcome = run("CHECK", mesh_conf(pod), pod)
        self.assert_error(outcome, 105, "a\\x0aerror")
        self.assertEqual(outcome.stderr.count("\n"), 1, outcome.stderr)


class Networks(PluginCase):
    """A second ADD in the same namespace, as multus and several conflists cause it."""

    def test_a_second_network_leaves_the_ipv6_rules_of_the_first(self):
        pod = self.pod()
        first = mesh_conf(pod, addresses=(V6, V4))
        self.assertEqual(run("ADD", first, pod).rc, 0)
        pod.add_interface("net1")
        second = mesh_conf(pod)
        second["prevResult"] = {"cniVersion": second["cniVersion"],
                                "interfaces": [{"name": "net1", "sandbox": pod.path}],
                                "ips": [{"address": "10.8.0.2/24", "interface": 0}]}
        self.assertEqual(run("ADD", second, pod, env={"CNI_IFNAME": "net1"}).rc, 0)
        self.assert_redirected(pod, families=(4, 6))
        self.assert_success_silent(run("CHECK", first, pod))
        self.assert_success_silent(run("CHECK", second, pod, env={"CNI_IFNAME": "net1"}))

    def test_without_a_second_network_other_wishes_still_count(self):
        pod = self.pod()
        self.assertEqual(run("ADD", mesh_conf(pod, dualStack=True), pod).rc, 0)
        self.assertEqual(run("ADD", mesh_conf(pod), pod).rc, 0)
        self.assert_redirected(pod, families=(4,))

    def test_a_pod_without_any_address_is_told(self):
        pod = self.pod()
        pod.ip("addr flush dev eth0")
        document = mesh_conf(pod)
        del document["prevResult"]["ips"]
        outcome = run("ADD", document, pod)
        self.assertEqual(outcome.rc, 0, outcome)
        self.assertIn("no address yet", outcome.stderr)
