# SPDX-License-Identifier: GPL-2.0-or-later
"""Mode TPROXY's policy routing: written, checked, taken out, and whole after a kill at any place."""

import signal
import time

from tests.protocol.netconf import V6, mesh_conf
from tests.protocol.runtime import run
from tests.protocol.trace_test import Traced

PATIENCE = 10


def tproxy_conf(pod, **keys):
    return mesh_conf(pod, addresses=(V6,), interceptionMode="TPROXY", **keys)


def routing(pod):
    """All ip rules, and all routes but those that come and go with addresses."""
    script = "ip -4 rule; ip -6 rule; ip -4 route show table all; ip -6 route show table all"
    return [line.strip() for line in pod.inside("sh", "-c", script).splitlines() if "::6 " not in line]


def ours(pod, mark="0x539", table="133"):
    """How many ip rules and routes of mode TPROXY there are."""
    lines = routing(pod)
    return (len([line for line in lines if f"fwmark {mark} lookup {table}" in line]),
            len([line for line in lines if line.startswith(f"local default dev lo table {table}")]))


def settled(pod):
    """The same once it has the route of the pod's own address, which the kernel adds a moment later."""
    deadline = time.monotonic() + PATIENCE
    while not any(line.startswith("local fd78::2 ") for line in routing(pod)):
        if time.monotonic() > deadline:
            raise AssertionError("fd78::2 has no route")
        time.sleep(0.01)
    return routing(pod)


class Routes(Traced):
    def setUp(self):
        super().setUp()
        self.pod_ = self.pod()
        self.before = settled(self.pod_)

    def add(self, **keys):
        document = tproxy_conf(self.pod_, **keys)
        outcome = run("ADD", document, self.pod_)
        self.assertEqual(outcome.rc, 0, outcome)
        return document

    def test_life_cycle(self):
        document = self.add()
        self.assertEqual(ours(self.pod_), (2, 2))
        self.assert_success_silent(run("CHECK", document, self.pod_))
        self.add()
        self.assertEqual(ours(self.pod_), (2, 2))
        self.assert_success_silent(run("DEL", document, self.pod_))
        self.assertEqual(routing(self.pod_), self.before)
        self.assert_success_silent(run("DEL", document, self.pod_))

    def test_del_does_not_need_to_know_the_mark(self):
        self.add(tproxyMark=42, tproxyTable=300)
        self.assertEqual(ours(self.pod_, "0x2a", "300"), (2, 2))
        self.assert_success_silent(run("DEL", mesh_conf(self.pod_), self.pod_))
        self.assertEqual(routing(self.pod_), self.before)

    def test_another_mode_takes_them_out(self):
        self.add()
        self.assertEqual(run("ADD", mesh_conf(self.pod_, addresses=(V6,)), self.pod_).rc, 0)
        self.assertEqual(routing(self.pod_), self.before)

    def test_check_names_what_is_missing(self):
        for family, name in (("-4", "IPv4"), ("-6", "IPv6")):
            for lost in ("rule del fwmark 1337 lookup 133", "route flush table 133"):
                with self.subTest(family=family, lost=lost):
                    document = self.add()
                    self.pod_.inside("ip", family, *lost.split())
                    self.assert_error(run("CHECK", document, self.pod_), 105,
                                      f"missing: {name} route: fwmark 0x539 lookup 133")

    def test_lo_that_is_down_is_named(self):
        self.pod_.ip("link set lo down")
        self.assert_error(run("ADD", tproxy_conf(self.pod_), self.pod_), {11, 100, 101, 102, 103},
                          "add IPv6 route local ::/0 dev lo table 133: lo is down")
        self.assertEqual(ours(self.pod_), (0, 0))
        self.assert_not_redirected(self.pod_)

    def test_nothing_is_left_when_a_table_is_refused(self):
        wrap = self.strace("-e", "trace=setsockopt", "-e", "inject=setsockopt:error=EINVAL:when=7+")
        outcome = run("ADD", tproxy_conf(self.pod_), self.pod_, wrap=wrap, timeout=35)
        self.assertEqual(outcome.rc, 1, outcome)
        self.assertEqual(ours(self.pod_), (0, 0))

    def test_no_file_but_the_kernels_is_read(self):
        document = tproxy_conf(self.pod_)
        for command in ("ADD", "CHECK", "DEL"):
            outcome = run(command, document, self.pod_, wrap=self.strace("-e", "trace=open,openat"))
            self.assertEqual(outcome.rc, 0, outcome)
            opened = [call.split('"')[1] for call in self.calls() if '"' in call]
            self.assertTrue(opened)
            strange = [path for path in opened
                       if not path.startswith(("/proc/", "/dev/null", self.pod_.path))]
            self.assertEqual(strange, [], command)


class Killed(Traced):
    MOST = 40

    def killed(self, command, call):
        """One pod for each place at which the command was killed, until it outlives them all."""
        for number in range(1, self.MOST):
            pod = self.pod()
            if command == "DEL":
                self.assertEqual(run("ADD", tproxy_conf(pod), pod).rc, 0)
            wrap = self.strace("-e", f"trace={call}", "-e", f"inject={call}:signal=SIGKILL:when={number}")
            outcome = run(command, tproxy_conf(pod), pod, wrap=wrap)
            if outcome.rc == 0:
                self.assertGreater(number, 1, f"{command} does not call {call}")
                return
            self.assertEqual(outcome.rc, -signal.SIGKILL, outcome)
            yield number, pod
        self.fail(f"{command} was still killed at {call} number {self.MOST}")

    def test_add_then_makes_it_whole_and_del_cleans_up(self):
        for call in ("sendmsg", "setsockopt"):
            for command in ("ADD", "DEL"):
                for number, pod in self.killed(command, call):
                    with self.subTest(command=command, call=call, number=number):
                        document = tproxy_conf(pod)
                        self.assert_success_silent(run("DEL", document, pod))
                        self.assertEqual(ours(pod), (0, 0))
                        self.assert_not_redirected(pod)
                        self.assertEqual(run("ADD", document, pod).rc, 0)
                        self.assertEqual(ours(pod), (2, 2))
                        self.assert_success_silent(run("CHECK", document, pod))
