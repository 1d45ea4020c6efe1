# SPDX-License-Identifier: GPL-2.0-or-later
"""Several calls at once, and calls one after the other: A-127 to A-134, A-146. Signals and faults: faults_test.py."""

import threading

from tests.conformance.cases import case
from tests.conformance.conformance import RULES, SLOWER, SPARSER, ours, plain, state, wait_for
from tests.conformance.meanwhile import MeanwhileCase
from tests.protocol import runtime
from tests.protocol.lock_test import locked
from tests.protocol.netconf import V6, injected

FAR_CONVOY_SECONDS = 10


class Concurrency(MeanwhileCase):
    def at_once(self, *calls):
        """Outcomes of (command, document, pod) that run at the same time, none of which may fail or be slow."""
        outcomes = [None] * len(calls)

        def one(number, command, document, pod):
            with self.node.namespace.entered():
                outcomes[number] = runtime.run(command, document, pod, timeout=30)

        threads = [threading.Thread(target=one, args=(number, *call)) for number, call in enumerate(calls)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for (command, _, pod), outcome in zip(calls, outcomes):
            self.assertIsNotNone(outcome, "a call did not end")
            self.judge(command, outcome)
            self.assertLess(outcome.seconds, FAR_CONVOY_SECONDS)
            if pod and not self.batched:
                self.look(pod)
        return outcomes

    def assert_all_succeed(self, *calls):
        for outcome in self.at_once(*calls):
            self.assertEqual(outcome.rc, 0, outcome)

    @case("A-127", "two hundred pods at once are redirected without waiting for each other")
    def test_a_127(self):
        pods = [self.pod() for _ in range(200 // SPARSER)]
        with self.many():
            self.assert_all_succeed(*(("ADD", ours(pod), pod) for pod in pods))
        for pod in pods:
            self.assert_redirected(pod)

    @case("A-128", "twenty equal ADDs at once end as one")
    def test_a_128(self):
        for count in (2, 20):
            pod = self.pod()
            document = ours(pod, addresses=(V6,))
            self.assert_all_succeed(*[("ADD", document, pod)] * count)
            self.assert_as(pod, addresses=(V6,))
            self.silent("CHECK", document, pod)

    @case("A-129", "the same ADD again changes nothing")
    def test_a_129(self):
        pod = self.pod()
        self.add(pod)
        before = state(pod)
        for _ in range(3):
            self.add(pod)
            self.assertEqual(state(pod), before)

    @case("A-130", "another ADD replaces what the first one wrote")
    def test_a_130(self):
        pod = self.pod()
        self.add(pod, ours(pod, addresses=(V6,), includeInboundPorts="80", excludeInterfaces="net1", proxyUid=[1, 2]))
        self.add(pod)
        self.silent("CHECK", ours(pod), pod)
        written = state(pod, RULES)
        for remnant in ("net1", "--dport 80 ", "dport 80 ", "--uid-owner 2 "):
            self.assertNotIn(remnant, written)
        self.assertNotIn("::6/128", state(pod))

    @case("A-131", "of two interfaces of a pod the second changes nothing, and DEL of one keeps the other's rules")
    def test_a_131(self):
        pod = self.pod()
        self.add_interface(pod, "net1")
        second = {"CNI_IFNAME": "net1"}
        self.add(pod)
        before = state(pod)
        self.add(pod, ours(pod, name="othernet"), env=second)
        self.assertEqual(state(pod), before)
        self.silent("DEL", ours(pod), pod)
        self.assertEqual(state(pod), before)
        self.ip(pod, "link del eth0")
        self.delete(pod, ours(pod, name="othernet"), env=second)

    @case("A-132", "ADD beside DEL, GC and CHECK, and DEL beside DEL, end as if one came after the other")
    def test_a_132(self):
        for _ in range(5):
            pod = self.pod()
            document = ours(pod, addresses=(V6,), version="1.1.0")
            beside = [("GC", plain("1.1.0"), None), ("DEL", document, pod), ("DEL", document, pod)]
            self.assert_all_succeed(("ADD", document, pod), *beside, ("ADD", document, pod))
            if "::6/128" in state(pod):
                self.assert_as(pod, addresses=(V6,), version="1.1.0")
            else:
                self.assert_not_redirected(pod)
            self.add(pod, document)
            self.assert_all_succeed(*[("ADD", document, pod), ("CHECK", document, pod)] * 3)

    @case("A-133", "a lock that never opens costs half a second, not the pod: anybody can hold it")
    def test_a_133(self):
        pod = self.pod()
        with locked(pod):
            self.assertIn("lock", self.add(pod).stderr)
            self.delete(pod)
        # Another ADD that stops while it holds the lock, and goes on later.
        wrap = self.strace("-e", "trace=flock", "-e", "inject=flock:delay_exit=2000000:when=1")
        stopped = self.start(ours(pod), pod, wrap)
        self.assertTrue(wait_for(lambda: self.log.exists() and "flock" in self.log.read_text()))
        self.add(pod)
        self.assertIsNone(stopped.poll(), "the other ADD was not stopped")
        out, err = stopped.communicate(timeout=10)
        self.assertEqual(stopped.returncode, 0, (out, err))
        self.silent("CHECK", ours(pod), pod)

    @case("A-134", "a lock whose holder has died is none; there is no file that could be left behind")
    def test_a_134(self):
        pod = self.pod()
        with locked(pod):
            pass
        outcome = self.add(pod)
        self.assertNotIn("lock", outcome.stderr)
        self.assertLess(outcome.seconds, 0.45 * SLOWER)

    @case("A-146", "CHECK agrees with ADD at once, and a thousand times, and stays silent")
    def test_a_146(self):
        for addresses in (("10.78.0.2/24",), (V6,)):
            pod = self.pod()
            document = ours(pod, injected(excludeOutboundPorts="25"), addresses=addresses)
            self.add(pod, document)
            with self.many(pod):
                for _ in range(500 // SPARSER):
                    self.silent("CHECK", document, pod)
