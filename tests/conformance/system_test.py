# SPDX-License-Identifier: GPL-2.0-or-later
"""A system that is not as it should be, over both backends: without IPv6, with lo down, with namespaces that go.

The pod is redirected and CHECK agrees, or one error says why not and it is as before. DEL cleans up after both.
"""

import errno
import itertools
import os
import platform
import socket
import sys

from tests.conformance.conformance import SLOWER, ours
from tests.conformance.kill_test import parts
from tests.conformance.meanwhile import MeanwhileCase
from tests.protocol import runtime
from tests.protocol.fake_agent import Agent, hang
from tests.protocol.lock_test import locked
from tests.protocol.netconf import V4, V6

BACKENDS = ("xtables", "nftables")
MODES = ("REDIRECT", "TPROXY")
# Where an ADD waits: for the lock, and in the middle of its work.
WAITS = (("xtables", "flock"), ("nftables", "flock"), ("xtables", "setsockopt"), ("nftables", "sendto"))
IPV4_POD = {"addresses": (V4,), "dualStack": True}
IPV6_FIRST_POD = {"addresses": (V6, V4)}
LOCK_SECONDS = 0.5
# What a machine that is busy with other things may add.
BUSY_SECONDS = 0.5
SOCKET_NUMBERS = {"x86_64": 41, "aarch64": 198}
# Lets socket(2) refuse one family, wherever it is called from: strace counts calls and does not tell families apart.
NO_FAMILY = """
import ctypes, os, struct, sys
number, family, errnum = (int(word) for word in sys.argv[1:4])
steps = ((0x20, 0, 0, 0), (0x15, 0, 3, number), (0x20, 0, 0, 16), (0x15, 0, 1, family), (6, 0, 0, 0x50000 | errnum),
         (6, 0, 0, 0x7FFF0000))
program = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *step) for step in steps))
filter = ctypes.create_string_buffer(struct.pack("HxxxxxxP", len(steps), ctypes.addressof(program)))
if ctypes.CDLL(None, use_errno=True).prctl(22, 2, filter, 0, 0):
    sys.exit(os.strerror(ctypes.get_errno()))
os.execv(sys.argv[4], sys.argv[4:])
"""
IF_INET6 = "/proc/thread-self/net/if_inet6"
LO_SYSCTL = "/proc/sys/net/ipv6/conf/lo/disable_ipv6"


def without_ipv6(pod):
    pod.inside("sysctl", "-qw", "net.ipv6.conf.all.disable_ipv6=1")


class System(MeanwhileCase):
    def judged(self, pod, document, outcome, wrap=()):
        """The pod after an ADD, and after the DEL that follows; it had no rules before."""
        if outcome.rc == 0:
            self.assertTrue(any(which in ("nat", "nftables") for _, which in parts(pod)))
            self.silent("CHECK", document, pod, wrap=wrap)
        else:
            self.assert_error(outcome, {4, 11, *range(100, 110)})
            self.assertEqual(parts(pod), {})
        self.silent("DEL", document, pod, wrap=wrap)
        self.assertEqual(parts(pod), {})

    def spoilt(self, spoil, wrap=()):
        """The outcomes in pods that were spoilt, by kind of pod and mode."""
        for backend, kind, mode in itertools.product(BACKENDS, (IPV4_POD, IPV6_FIRST_POD), MODES):
            with self.subTest(backend=backend, kind=kind, mode=mode), self.many():
                pod = self.pod()
                spoil(pod)
                document = ours(pod, backend=backend, interceptionMode=mode, **kind)
                outcome = self.call("ADD", document, pod, wrap=wrap)
                yield kind, mode, outcome
                self.judged(pod, document, outcome, wrap)

    def test_ipv6_switched_off(self):
        for kind, mode, outcome in self.spoilt(without_ipv6):
            if kind == IPV4_POD or mode == "REDIRECT":
                self.assertIn("IPv6 is disabled", self.assert_served(outcome))
            else:
                self.assert_error(outcome, 102, "IPv6 is disabled on lo")

    def test_ipv6_absent(self):
        """As after booting with ipv6.disable=1, where the family has no sockets, sysctls and addresses.

        What netlink answers is what it does where IPv6 is switched off: EACCES, not EOPNOTSUPP.
        """
        numbers = (SOCKET_NUMBERS[platform.machine()], int(socket.AF_INET6), errno.EAFNOSUPPORT)
        files = self.strace("-P", IF_INET6, "-P", LO_SYSCTL, "-e", "trace=openat", "-e", "inject=openat:error=ENOENT")
        wrap = (*files, sys.executable, "-c", NO_FAMILY, *map(str, numbers))
        for kind, _, outcome in self.spoilt(without_ipv6, wrap):
            self.assertIn(IF_INET6, self.log.read_text())
            self.assertNotRegex(self.log.read_text(), r"= \d")
            if kind == IPV4_POD:
                self.assert_served(outcome)

    def test_lo_that_is_down(self):
        for _, mode, outcome in self.spoilt(lambda pod: pod.ip("link set lo down")):
            if mode == "REDIRECT":
                self.assert_served(outcome)
            else:
                self.assert_error(outcome, set(range(100, 110)), "lo is down")

    def assert_served(self, outcome):
        """Returns what it says."""
        self.assertEqual(outcome.rc, 0, outcome)
        return outcome.stderr

    def test_a_namespace_that_goes_meanwhile(self):
        for backend, call in WAITS:
            with self.subTest(backend=backend, call=call), self.many():
                pod = runtime.Pod()
                document = ours(pod, backend=backend, **IPV6_FIRST_POD)
                with open(pod.path) as held:
                    with self.meanwhile(call, pod.path, pod.delete) as wrap:
                        outcome = self.call("ADD", document, pod, wrap=wrap)
                    self.silent("DEL", document, pod)
                    # What the plugin had opened can still be looked at.
                    pod.path = f"/proc/{os.getpid()}/fd/{held.fileno()}"
                    self.judged(pod, document, outcome)

    def test_a_namespace_that_goes_while_the_agent_is_asked(self):
        agent = Agent(self, hang)
        for backend in BACKENDS:
            for absent in ("wait", "annotations"):
                pod = runtime.Pod()
                keys = {"backend": backend, "agentAbsent": absent, "agentTimeoutMs": 300}
                with open(pod.path) as held:
                    child = self.asking(pod, agent, **keys)
                    pod.delete()
                    outcome = self.ended(child)
                    self.silent("DEL", ours(pod, **keys), pod)
                    # It was opened before the agent was asked.
                    pod.path = f"/proc/{os.getpid()}/fd/{held.fileno()}"
                    if absent == "wait":
                        self.assert_error(outcome, 11)
                        self.assertEqual(parts(pod), {})
                    else:
                        self.assertEqual(outcome.rc, 0, outcome)
                        self.judged(pod, ours(pod, **keys), outcome)

    def test_a_lock_that_a_tenant_holds(self):
        for backend in BACKENDS:
            with self.subTest(backend=backend):
                pod = self.pod()
                document = ours(pod, backend=backend)
                free = self.add(pod, document).seconds
                self.delete(pod, document)
                with locked(pod):
                    outcome = self.add(pod, document)
                    self.silent("CHECK", document, pod)
                self.assertGreater(outcome.seconds, LOCK_SECONDS)
                self.assertLess(outcome.seconds, free + LOCK_SECONDS + BUSY_SECONDS * SLOWER)
                self.delete(pod, document)
