# SPDX-License-Identifier: GPL-2.0-or-later
"""Told to end, or out of time: all is done, or all is put back and one error document says why."""

import json
import os
import random
import signal
import subprocess
import time

from tests.protocol.contract import PluginCase
from tests.protocol.fake_agent import Agent, hang
from tests.protocol.lock_test import locked, start
from tests.protocol.netconf import V6, mesh_conf
from tests.protocol.runtime import PLUGIN, Outcome, environment, run

SECOND = 1.5  # with what a busy machine adds
BLOCKED = (
    "/usr/bin/python3", "-c",
    "import os, signal, sys\n"
    "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
    "signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())\n"
    "os.execv(sys.argv[1], sys.argv[1:])\n",
)  # fmt: skip


def waits_in(child, *calls):
    """Whether the process sleeps in one of these system calls, by number (x86-64 and aarch64 differ)."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        with open(f"/proc/{child.pid}/syscall") as file:
            if file.read().split()[0] in calls:
                return True
        time.sleep(0.002)
    return False


SLEEP = ("35", "230", "101", "115")  # nanosleep, clock_nanosleep
READ = ("0", "63")
POLL = ("7", "271", "73")


class Signals(PluginCase):
    def open_stdin(self, pod, wrap=(), document=None):
        """An ADD whose stdin stays open."""
        child = subprocess.Popen([*wrap, PLUGIN], env=environment("ADD", pod), stdin=subprocess.PIPE,
                                 stdout=subprocess.PIPE, stderr=subprocess.PIPE)  # fmt: skip
        self.addCleanup(child.stdin.close)
        self.addCleanup(child.kill)
        child.stdin.write(json.dumps(document or mesh_conf(pod)).encode())
        child.stdin.flush()
        return child

    def end(self, child, number=signal.SIGTERM):
        """Its outcome after the signal."""
        start_time = time.monotonic()
        child.send_signal(number)
        # Not communicate(): it would close a stdin that is to stay open.
        out, err = child.stdout.read(), child.stderr.read()
        rc = child.wait(10)
        child.stdout.close()
        child.stderr.close()
        return Outcome(rc, out, err.decode(), time.monotonic() - start_time)

    def assert_ended(self, outcome, pod, reason="terminated by signal 15"):
        self.assert_error(outcome, 11, reason)
        self.assertLess(outcome.seconds, SECOND)
        self.assert_not_redirected(pod)

    def test_while_stdin_is_open(self):
        for wrap in ((), BLOCKED):
            pod = self.pod()
            child = self.open_stdin(pod, wrap)
            self.assertTrue(waits_in(child, *READ))
            self.assert_ended(self.end(child), pod)

    def test_sigint_too(self):
        pod = self.pod()
        child = self.open_stdin(pod)
        self.assertTrue(waits_in(child, *READ))
        self.assert_ended(self.end(child, signal.SIGINT), pod, "terminated by signal 2")

    def test_other_signals_are_as_ever(self):
        child = self.open_stdin(self.pod())
        self.assertTrue(waits_in(child, *READ))
        self.assertEqual(self.end(child, signal.SIGUSR1).rc, -signal.SIGUSR1)

    def test_while_another_process_holds_the_lock(self):
        for command in ("ADD", "DEL"):
            pod = self.pod()
            document = mesh_conf(pod)
            if command == "DEL":
                run("ADD", document, pod)
            before = pod.snapshot()
            with locked(pod):
                child = start(command, document, pod)
                self.assertTrue(waits_in(child, *SLEEP))
                outcome = self.end(child)
            self.assert_error(outcome, 11, "terminated by signal 15")
            self.assertLess(outcome.seconds, 0.45)
            self.assertEqual(pod.snapshot(), before)
            self.assert_success_silent(run("DEL", document, pod))
            self.assert_not_redirected(pod)

    def test_while_the_agent_does_not_answer(self):
        agent = Agent(self, hang)
        # Not taken for an agent that is away, of which annotations would do in the place.
        for absent in ("wait", "annotations"):
            pod = self.pod()
            child = start("ADD", mesh_conf(pod, agentSocket=agent.path, agentAbsent=absent, agentTimeoutMs=9000), pod)
            self.assertTrue(waits_in(child, *POLL))
            self.assert_ended(self.end(child), pod)

    def test_at_any_moment_all_or_nothing(self):
        seed = int(os.environ.get("SLUICE_SEED") or random.randrange(1 << 31))
        print(f"SLUICE_SEED={seed}")
        chance = random.Random(seed)
        pod = self.pod()
        document = mesh_conf(pod, addresses=(V6,), interceptionMode="TPROXY")
        self.assert_passed(run("ADD", document, pod), document)
        whole = pod.snapshot()
        self.assert_success_silent(run("DEL", document, pod))
        nothing = pod.snapshot()
        self.assertNotEqual(whole, nothing)
        done = 0
        for _ in range(200):
            child = start("ADD", document, pod)
            time.sleep(chance.uniform(0, 0.012))
            outcome = self.end(child)
            self.assertLess(outcome.seconds, SECOND)
            # Before main() begins a process can only die.
            self.assertIn(outcome.rc, (0, 1, -signal.SIGTERM), outcome)
            if outcome.rc == 1:
                self.assert_error(outcome, 11, "terminated by signal 15")
            done += outcome.rc == 0
            with self.subTest(seed=seed, outcome=str(outcome)):
                self.assertEqual(pod.snapshot(), whole if outcome.rc == 0 else nothing)
            if outcome.rc == 0 or pod.snapshot() != nothing:
                self.assert_success_silent(run("DEL", document, pod))
                self.assertEqual(pod.snapshot(), nothing)
        self.assertGreater(done, 0)
        self.assertLess(done, 200)


class Deadline(PluginCase):
    def test_the_configuration_sets_it(self):
        pod, agent = self.pod(), Agent(self, hang)
        document = mesh_conf(pod, agentSocket=agent.path, agentTimeoutMs=9000, deadlineMs=1000)
        outcome = run("ADD", document, pod)
        self.assert_error(outcome, 11, "not done within 1 s")
        self.assertGreaterEqual(outcome.seconds, 1)
        self.assertLess(outcome.seconds, 1 + SECOND)
        self.assert_not_redirected(pod)

    def test_it_counts_from_the_start(self):
        pod, agent = self.pod(), Agent(self, hang)
        document = mesh_conf(pod, agentSocket=agent.path, agentTimeoutMs=9000, deadlineMs=1500)
        slowly = ("sh", "-c", 'text=$(cat); (sleep 1; echo "$text") | "$@"', "sh")
        outcome = run("ADD", document, pod, wrap=slowly)
        self.assert_error(outcome, 11, "not done within 1500 ms")
        self.assertLess(outcome.seconds, 2.4)

    def test_a_bad_one_is_refused(self):
        for value in (999, 120001, "1000"):
            self.assert_error(run("ADD", mesh_conf(self.pod(), deadlineMs=value), self.pod()), 7, "deadlineMs")
