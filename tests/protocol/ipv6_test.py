# SPDX-License-Identifier: GPL-2.0-or-later
"""Pods and kernels where IPv6 is not what the configuration would like it to be."""

import pathlib
import tempfile

from tests.protocol.contract import PluginCase
from tests.protocol.netconf import V4, V6, mesh_conf
from tests.protocol.runtime import run

INFO = "IP6T_SO_GET_INFO"


class Kernels(PluginCase):
    """A kernel without ip6tables' nat, as strace makes one."""

    def without_ip6_nat(self):
        """How to run the plugin so that asking for the IPv6 table fails as on such a kernel."""
        directory = tempfile.TemporaryDirectory(prefix="sluice-proto-")
        self.addCleanup(directory.cleanup)
        log = pathlib.Path(directory.name) / "trace"
        pod = self.pod()
        wrap = ("strace", "-qq", "-o", str(log), "-e", "trace=getsockopt")
        self.assertEqual(run("ADD", mesh_conf(pod, dualStack=True), pod, wrap=wrap).rc, 0)
        calls = log.read_text().splitlines()
        first = next(number for number, call in enumerate(calls, 1) if INFO in call)
        return (*wrap, "-e", f"inject=getsockopt:error=ENOPROTOOPT:when={first}")

    def test_a_pod_with_an_address_is_refused_and_left_as_it_was(self):
        wrap = self.without_ip6_nat()
        pod = self.pod()
        outcome = run("ADD", mesh_conf(pod, addresses=(V4, V6), dualStack=True), pod, wrap=wrap)
        self.assert_error(outcome, 102, "IPv6", "nat", "ip6table_nat")
        self.assert_not_redirected(pod)

    def test_a_pod_without_one_is_redirected_and_told(self):
        wrap = self.without_ip6_nat()
        pod = self.pod()
        pod.ip("addr del fd78::2/64 dev eth0")
        document = mesh_conf(pod, dualStack=True)
        outcome = run("ADD", document, pod, wrap=wrap)
        self.assert_passed(outcome, document)
        self.assertIn("IPv6 is left out", outcome.stderr)
        self.assertTrue(pod.nat(4))
        self.assert_success_silent(run("CHECK", document, pod))


class Disabled(PluginCase):
    """net.ipv6.conf.lo.disable_ipv6, with which lo takes no address."""

    def test_rules_are_written_and_the_missing_address_is_said(self):
        pod = self.pod()
        pod.inside("sysctl", "-qw", "net.ipv6.conf.lo.disable_ipv6=1")
        document = mesh_conf(pod, dualStack=True)
        outcome = run("ADD", document, pod)
        self.assert_passed(outcome, document)
        self.assertIn("::6/128 is not added", outcome.stderr)
        self.assertTrue(pod.nat(6))
        self.assertNotIn("::6/128", pod.loopback_addresses())
        self.assert_success_silent(run("CHECK", document, pod))

    def test_check_wants_the_address_once_it_can_be_there(self):
        pod = self.pod()
        pod.inside("sysctl", "-qw", "net.ipv6.conf.lo.disable_ipv6=1")
        document = mesh_conf(pod, dualStack=True)
        run("ADD", document, pod)
        pod.inside("sysctl", "-qw", "net.ipv6.conf.lo.disable_ipv6=0")
        self.assert_error(run("CHECK", document, pod), 105, "::6/128")


class Leaks(PluginCase):
    """`auto` says which address it leaves to go past the mesh."""

    def stderr_of(self, **keys):
        pod = self.pod()
        outcome = run("ADD", mesh_conf(pod, **keys), pod)
        self.assertEqual(outcome.rc, 0, outcome)
        return outcome.stderr

    def test_auto_names_the_address(self):
        self.assertIn("fd78::2 is not redirected", self.stderr_of(addresses=(V4, V6)))

    def test_auto_also_sees_an_address_that_only_the_interface_has(self):
        self.assertIn("fd78::2 is not redirected", self.stderr_of(addresses=(V4,)))

    def test_who_asked_for_it_is_not_told(self):
        for policy in ("always", "never", "block"):
            with self.subTest(policy=policy):
                self.assertNotIn("fd78::2", self.stderr_of(ipv6=policy))

    def test_a_dual_stack_mesh_has_no_leak(self):
        self.assertNotIn("fd78::2", self.stderr_of(dualStack=True))
