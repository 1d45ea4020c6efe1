# SPDX-License-Identifier: GPL-2.0-or-later
"""The plugin under strace: it runs no other program, and failing system calls leave nothing half done."""

import pathlib
import re
import signal
import tempfile

from tests.protocol.contract import PluginCase
from tests.protocol.netconf import V4, V6, conf, mesh_conf
from tests.protocol.runtime import run

WRITES = re.compile(r"O_WRONLY|O_RDWR|O_CREAT|^(creat|mkdir|rename)")
REPLACE = "_SO_SET_REPLACE"


class Traced(PluginCase):
    def setUp(self):
        directory = tempfile.TemporaryDirectory(prefix="sluice-proto-")
        self.addCleanup(directory.cleanup)
        self.log = pathlib.Path(directory.name) / "trace"

    def strace(self, *options):
        # Paths whole: strace cuts what is longer than 32 bytes.
        return ("strace", "-f", "-qq", "-s", "256", "-o", str(self.log), *options)

    def calls(self):
        """The system calls in order, without the process id before each."""
        return [re.sub(r"^\d+\s+", "", line) for line in self.log.read_text().splitlines()]

    def replace_calls(self, **keys):
        """Which setsockopt calls of an ADD, counted from 1, put a table in place."""
        pod = self.pod()
        outcome = run("ADD", mesh_conf(pod, **keys), pod, wrap=self.strace("-e", "trace=setsockopt"))
        self.assertEqual(outcome.rc, 0, outcome)
        found = [number for number, call in enumerate(self.calls(), 1) if REPLACE in call]
        self.assertTrue(found, "no table was put in place by setsockopt")
        return found

    def failing(self, which, error):
        """Options that let the n-th setsockopt calls fail; "2" only the second, "2+" also all later ones."""
        return self.strace("-e", "trace=setsockopt", "-e", f"inject=setsockopt:error={error}:when={which}")


class Processes(Traced):
    NEW = ("clone(", "clone3(", "fork(", "vfork(")

    def assert_alone(self, command, document, pod=None):
        outcome = run(command, document, pod, wrap=self.strace("-e", "trace=process"))
        self.assertEqual(outcome.rc, 0, outcome)
        calls = self.calls()
        self.assertEqual(len([call for call in calls if call.startswith("exec")]), 1, calls)
        self.assertFalse([call for call in calls if call.startswith(self.NEW)], calls)

    def test_no_verb_starts_a_process(self):
        pod = self.pod()
        for command in ("ADD", "CHECK", "ADD", "DEL", "DEL", "STATUS", "GC", "VERSION"):
            with self.subTest(command=command):
                self.assert_alone(command, mesh_conf(pod, addresses=(V6,)), pod)

    def test_a_passed_pod_starts_none_either(self):
        self.assert_alone("ADD", conf())

    def test_no_file_is_written(self):
        pod = self.pod()
        options = self.strace("-e", "trace=open,openat,creat,mkdir,mkdirat,rename,renameat,renameat2")
        for command in ("ADD", "CHECK", "DEL"):
            self.assertEqual(run(command, mesh_conf(pod), pod, wrap=options).rc, 0)
            writes = [call for call in self.calls() if WRITES.search(call) and "/dev/null" not in call]
            self.assertEqual(writes, [])


class Faults(Traced):
    def add(self, pod, which, error, addresses=(V6,)):
        document = mesh_conf(pod, addresses=addresses)
        return document, run("ADD", document, pod, wrap=self.failing(which, error), timeout=35)

    def test_a_table_that_changed_meanwhile_is_tried_again(self):
        for number in self.replace_calls(addresses=(V6,)):
            with self.subTest(number=number):
                pod = self.pod()
                document, outcome = self.add(pod, number, "EAGAIN")
                self.assert_passed(outcome, document)
                self.assert_redirected(pod, families=(4, 6))

    def test_a_table_that_always_changes_is_given_up_with_nothing_left(self):
        # IPv4 alone: with ::6 on lo, the socket that takes it away would need a setsockopt that works.
        number = self.replace_calls()[0]
        pod = self.pod()
        self.assert_error(self.add(pod, f"{number}+", "EAGAIN", (V4,))[1], 11)
        self.assert_not_redirected(pod)

    def test_a_failure_of_the_second_family_takes_the_first_back(self):
        number = self.replace_calls(addresses=(V6,))[-1]
        for error in ("ENOMEM", "EINVAL"):
            with self.subTest(error=error):
                pod = self.pod()
                self.assert_error(self.add(pod, number, error)[1], {11, 100, 101, 102})
                self.assert_not_redirected(pod)

    def test_ipv6_that_cannot_be_written_whole_is_left_out_whole(self):
        keys = {"ipv6": "always", "dnsCapture": "all", "addresses": (V4,), "backend": "xtables"}
        number = self.replace_calls(**keys)[-1]
        pod = self.pod()
        pod.ip("addr del fd78::2/64 dev eth0")
        document = mesh_conf(pod, **keys)
        outcome = run("ADD", document, pod, wrap=self.failing(number, "ENOENT"))
        self.assert_passed(outcome, document)
        self.assertIn("IPv6 is left out", outcome.stderr)
        self.assertIn("ISTIO", pod.inside("iptables-legacy-save"))
        self.assertNotIn("ISTIO", pod.inside("ip6tables-legacy-save"))
        self.assert_success_silent(run("CHECK", document, pod))

    def test_a_kernel_without_the_tables_is_named(self):
        pod = self.pod()
        wrap = self.strace("-e", "trace=getsockopt", "-e", "inject=getsockopt:error=ENOPROTOOPT:when=1+")
        with self.unchanged(pod):
            self.assert_error(run("ADD", mesh_conf(pod, backend="xtables"), pod, wrap=wrap), 102)

    def test_a_forbidden_table_is_named(self):
        number = self.replace_calls()[0]
        pod = self.pod()
        self.assert_error(self.add(pod, f"{number}+", "EPERM", (V4,))[1], 103)
        self.assert_not_redirected(pod)


class Killed(Traced):
    """A runtime that loses patience kills with SIGKILL, at any instruction."""

    CHANGING = ("setns", "flock", "getsockopt", "setsockopt", "sendto", "sendmsg", "write")

    # More calls than an ADD makes of any kind; it bounds the loops when every ADD fails.
    MOST = 30

    def killed_adds(self, calls):
        """One pod for each place at which an ADD was killed, and one for the ADD that outlived them all."""
        killed = 0
        for call in calls:
            for number in range(1, self.MOST):
                pod = self.pod()
                wrap = self.strace("-e", f"trace={call}", "-e", f"inject={call}:signal=SIGKILL:when={number}")
                outcome = run("ADD", mesh_conf(pod, addresses=(V6,)), pod, wrap=wrap)
                yield f"{call} number {number}", pod
                if outcome.rc == 0:
                    break
                self.assertEqual(outcome.rc, -signal.SIGKILL, outcome)
                killed += 1
            else:
                self.fail(f"ADD was still killed at {call} number {self.MOST}")
        self.assertGreater(killed, 0, "no ADD was killed")

    def test_add_then_makes_it_whole(self):
        for place, pod in self.killed_adds(self.CHANGING):
            with self.subTest(place=place):
                document = mesh_conf(pod, addresses=(V6,))
                self.assert_passed(run("ADD", document, pod), document)
                self.assert_redirected(pod, families=(4, 6))

    def test_del_then_cleans_up(self):
        for place, pod in self.killed_adds(("setsockopt", "sendto", "sendmsg")):
            with self.subTest(place=place):
                self.assert_success_silent(run("DEL", mesh_conf(pod), pod))
                self.assert_not_redirected(pod)
