# SPDX-License-Identifier: GPL-2.0-or-later
"""Signals, streams that fail and system calls that fail: A-135 to A-145, A-147."""

import contextlib
import itertools
import os
import pathlib
import re
import signal
import subprocess
import time

from tests.conformance.cases import case
from tests.conformance.clocks import MONOTONIC, THAT_JUMP, without_clocks
from tests.conformance.conformance import SANITIZED, SLOWER, SPARSER, ConformanceCase, ours, plain, wait_for
from tests.conformance.meanwhile import MeanwhileCase
from tests.protocol import runtime
from tests.protocol.fake_agent import Agent, hang
from tests.protocol.lock_test import NOBODY, locked
from tests.protocol.netconf import V4, V6
from tests.protocol.process_test import CLOSED_STDERR, CLOSED_STDOUT

# What the kernel says when it has run out of something, by system call. Not brk(2): that returns no error but
# the old end of the heap, which strace cannot make it do.
ERRORS = {
    "openat": ("EMFILE", "ENFILE"), "socket": ("EMFILE", "ENOBUFS"), "bind": ("ENOMEM",),
    "sendmsg": ("ENOBUFS", "EAGAIN"), "sendto": ("ENOBUFS", "EAGAIN"), "recvmsg": ("ENOBUFS", "ENOMEM", "EAGAIN"),
    "recvfrom": ("ENOBUFS",), "setsockopt": ("ENOMEM", "EAGAIN"), "getsockopt": ("ENOMEM",), "setns": ("ENOMEM",),
    "ioctl": ("ENOMEM",), "flock": ("ENOLCK",), **({} if SANITIZED else {"mmap": ("ENOMEM",)}),
    "clone": ("EAGAIN",), "clone3": ("EAGAIN",), "fork": ("EAGAIN",), "vfork": ("EAGAIN",),
}  # fmt: skip
# What the kernel, or a security module, says to a caller that may not: also in the middle of what it could begin.
REFUSALS = {name: ("EPERM",) for name in ("socket", "setsockopt", "getsockopt", "sendto", "sendmsg", "ioctl")}
NETLINK_ERRORS = {name: ERRORS[name] for name in ("bind", "sendmsg", "recvmsg")}
YEAR = 365 * 24 * 3600
# Of the child that writes for a pod with users of its own: before it has asked to die with the plugin, in that pod,
# and with the first table written. Of such calls the plugin itself makes fewer.
HELD_UP = re.compile(r"^(\d+) +--- stopped by SIGSTOP", re.MULTILINE)
BEFORE, WITHIN = ("dup3", 1), (("setns", 2), ("setsockopt", 6))
NEXT_YEAR = ("unshare", "--time", "--monotonic", str(YEAR), "--boottime", str(YEAR), "--fork")
DUAL = (V6, V4)


class OthersPod(runtime.UserPod):
    """Entering a namespace that is not the user's own, a process loses what it has asked the kernel for."""

    owner = NOBODY


class Signals(MeanwhileCase):
    def killed(self, command, prepare):
        """A pod after each place at which the command was killed, all in turn the same one."""
        pod = self.pod()
        document = ours(pod, addresses=DUAL)
        prepare(pod)
        count, places = 0, self.places(command, document, pod)[::SPARSER]
        for place in places:
            prepare(pod)
            with self.subTest(command=command, place=place):
                wrap = self.at(place, "signal=SIGKILL")
                outcome = self.call(command, document, pod, rc=(0, -signal.SIGKILL), wrap=wrap)
                count += outcome.rc != 0
                yield pod
        self.assertGreater(count, 0.9 * len(places))

    @case("A-135", "killed at any system call, an ADD or DEL leaves nothing that the next DEL does not take out")
    def test_a_135(self):
        with self.many():
            for pod in self.killed("ADD", lambda pod: None):
                self.delete(pod)
            self.add(pod)
            for pod in self.killed("DEL", lambda pod: self.call("ADD", ours(pod), pod)):
                self.delete(pod)

    @case("A-136", "killed at any system call, an ADD is made whole by the next")
    def test_a_136(self):
        with self.many():
            for pod in self.killed("ADD", lambda pod: self.call("DEL", ours(pod), pod)):
                self.add(pod, ours(pod, addresses=DUAL))
                self.silent("CHECK", ours(pod, addresses=DUAL), pod)

    @case("A-137", "SIGTERM or SIGINT in the middle of ADD: within a second all is done, or undone and said")
    def test_a_137(self):
        pod, agent = self.pod(), Agent(self, hang)
        for number in (signal.SIGTERM, signal.SIGINT):
            child = self.asking(pod, agent)
            child.send_signal(number)
            outcome = self.ended(child)
            self.assertLess(outcome.seconds, 1 * SLOWER)
            self.assert_error(outcome, {11, *range(100, 110)})
            self.same(pod)
        document = ours(pod, addresses=DUAL)
        for place in self.places("ADD", document, pod)[:: 3 * SPARSER]:
            with self.subTest(place=place), self.many():
                self.call("DEL", document, pod)
                self.clean(self.call("ADD", document, pod, seconds=1, wrap=self.at(place, "signal=SIGTERM")), pod)

    @case("A-138", "SIGTERM in the middle of DEL: it is done, or said, and the next one finishes")
    def test_a_138(self):
        pod = self.pod()
        self.add(pod)
        for place in self.places("DEL", ours(pod), pod)[:: 2 * SPARSER]:
            with self.subTest(place=place), self.many():
                self.call("ADD", ours(pod), pod)
                outcome = self.call("DEL", ours(pod), pod, seconds=1, wrap=self.at(place, "signal=SIGTERM"))
                if outcome.rc == 0:
                    self.assert_not_redirected(pod)
                self.delete(pod)

    @case("A-139", "killed, it leaves no process and no open stream behind: it starts no other program")
    def test_a_139(self):
        pod = self.pod()
        child = self.asking(pod, Agent(self, hang))
        child.kill()
        self.assertLess(self.ended(child).seconds, 0.5 * SLOWER)
        self.assertFalse(members(child.pid))
        for place in (BEFORE, *WITHIN):
            with self.subTest(place=place):
                self.killed_above_a_child(place)

    def killed_above_a_child(self, place):
        """The plugin dies while the child that writes for it is held up at this call."""
        pod = OthersPod()
        self.addCleanup(pod.delete)
        document = ours(pod, backend="xtables")
        self.log.unlink(missing_ok=True)
        child = self.start(document, pod, self.at(place, "signal=SIGSTOP"))
        self.assertTrue(wait_for(lambda: self.log.exists() and HELD_UP.search(self.log.read_text())))
        writer = int(HELD_UP.search(self.log.read_text())[1])
        plugin = members(child.pid)[writer]
        self.assertNotEqual(plugin, child.pid, "it is not the child that was held up")
        os.kill(plugin, signal.SIGKILL)
        if place == BEFORE:
            self.assertTrue(wait_for(lambda: plugin not in members(child.pid)))
            os.kill(writer, signal.SIGCONT)
        gone = wait_for(lambda: not members(child.pid), 0.5 * SLOWER)
        if not gone:
            os.kill(writer, signal.SIGCONT)
        self.assertLess(self.ended(child).seconds, 0.5 * SLOWER)
        self.assertTrue(gone, "the child lives on")
        if place == BEFORE:
            self.assert_not_redirected(pod)
        self.delete(pod, document)
        time.sleep(2)
        self.assert_not_redirected(pod)

    @case("A-140", "no verb starts a program, nor a process for an ordinary pod: none can hold the runtime's streams")
    def test_a_140(self):
        pod = self.pod()
        for command in ("ADD", "CHECK", "DEL", "GC", "STATUS", "VERSION"):
            wrap = self.strace("-e", "trace=process")
            self.assertEqual(self.call(command, ours(pod, version="1.1.0"), pod, wrap=wrap).rc, 0)
            calls = [call for call in self.calls() if re.match("clone|fork|vfork|exec", call)]
            self.assertEqual(len(calls), 1, calls)


class Streams(ConformanceCase):
    def failed_after_all(self, pod, **how):
        """The result cannot be delivered: exit status 1, and DEL, which follows, finds all of it."""
        self.assertEqual(self.call("ADD", ours(pod), pod, rc=(1,), **how).rc, 1)
        self.look(pod)
        self.delete(pod)

    @case("A-141", "a runtime that no longer reads is a failed ADD, not a death by SIGPIPE")
    def test_a_141(self):
        read_end, write_end = os.pipe()
        os.close(read_end)
        with os.fdopen(write_end, "wb") as pipe, self.many():
            self.failed_after_all(self.pod(), stdout=pipe)

    @case("A-142", "a full stdout is a failed ADD")
    def test_a_142(self):
        with open("/dev/full", "wb") as full, self.many():
            self.failed_after_all(self.pod(), stdout=full)
            self.assertEqual(self.call("VERSION", b"", stdout=full).rc, 1)

    @case("A-143", "a closed stdout is a failed ADD, and the result is written nowhere else")
    def test_a_143(self):
        wrap = (*self.strace("-e", "trace=write"), *CLOSED_STDOUT)
        with self.many():
            self.failed_after_all(self.pod(), wrap=wrap, stdout=subprocess.DEVNULL)
        self.assertFalse([call for call in self.calls() if "cniVersion" in call])

    @case("A-144", "a stderr that is closed or never read holds nothing up")
    def test_a_144(self):
        pod = self.pod()
        self.add(pod, wrap=CLOSED_STDERR)
        read_end, write_end = os.pipe()
        self.addCleanup(os.close, read_end)
        self.addCleanup(os.close, write_end)
        os.set_blocking(write_end, False)
        try:
            while os.write(write_end, b"x" * 4096):
                pass
        except BlockingIOError:
            pass
        os.set_blocking(write_end, True)
        wrap = ("sh", "-c", f'exec "$@" 2>/proc/self/fd/{write_end}', "sh")
        document = ours(pod, unknownKey=1, logLevel="debug")
        self.add(pod, document, wrap=wrap, pass_fds=(write_end,), seconds=2)
        self.refused("ADD", ours(pod, proxyPort=0), 7, pod=pod, wrap=wrap, pass_fds=(write_end,), seconds=2)

    @case("A-145", "waits are measured by the monotonic clock, wherever it stands")
    def test_a_145(self):
        agent = Agent(self, hang)
        for wrap in ((), NEXT_YEAR):
            pod = self.pod()
            document = ours(pod, agentSocket=agent.path, agentTimeoutMs=300)
            outcome = self.call("ADD", document, pod, wrap=wrap)
            self.assert_error(outcome, 11)
            self.assertGreater(outcome.seconds, 0.25)
            self.assertLess(outcome.seconds, 2 * SLOWER)
        self.passes(plain(), wrap=NEXT_YEAR)
        self.nowhere_by_the_time_of_day()

    def nowhere_by_the_time_of_day(self):
        """A program that would ask what time it is dies of it, in every wait there is."""
        agent, pod, wrap = Agent(self, hang), self.pod(), without_clocks(THAT_JUMP)
        self.assertEqual(subprocess.run((*wrap, "/bin/date"), capture_output=True).returncode, -signal.SIGSYS)
        self.call("ADD", ours(pod), pod, rc=(-signal.SIGSYS,), wrap=without_clocks((MONOTONIC,)))
        for limit in ({"agentTimeoutMs": 300}, {"agentTimeoutMs": 9000, "deadlineMs": 1000}):
            document = ours(pod, agentSocket=agent.path, **limit)
            self.assert_error(self.call("ADD", document, pod, wrap=wrap), 11)
        for backend in ("xtables", "nftables"):
            with locked(pod):
                self.assertIn("lock", self.add(pod, ours(pod, backend=backend), wrap=wrap).stderr)
        self.delete(pod, wrap=wrap)


class Exhausted(ConformanceCase):
    @case("A-147", "whatever the kernel has run out of or refuses, at any call: all is done, or undone and said")
    def test_a_147(self):
        pod = self.pod()
        backends, tproxy = ("auto", "nftables"), {"interceptionMode": "TPROXY"}
        kinds = ((ERRORS, {}), (NETLINK_ERRORS, tproxy), (REFUSALS, {}))
        for backend, (errors, keys) in itertools.product(backends, kinds):
            document = ours(pod, addresses=DUAL, **{**keys, "backend": backend})
            places = self.places("ADD", document, pod)
            faults = [(place, error) for place in places for error in errors.get(place[0], ())]
            self.assertGreater(len(faults), 20)
            for place, error in faults[::SPARSER]:
                with self.subTest(backend=backend, place=place, error=error), self.many():
                    self.call("DEL", document, pod)
                    outcome = self.call("ADD", document, pod, wrap=self.at(place, f"error={error}"))
                    self.clean(outcome, pod)
                    if outcome.rc == 0:
                        self.silent("CHECK", document, pod)
                    elif error == "EPERM":
                        self.assert_error(outcome, {*range(100, 110)}, "Operation not permitted")


def members(session):
    """The processes of a session that have not ended: {process: its parent}."""
    found = {}
    for name in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(ProcessLookupError, FileNotFoundError):
            stat = pathlib.Path(f"/proc/{name}/stat").read_text()
            state, parent, _, its_session = stat.rpartition(")")[2].split()[:4]
            if int(its_session) == session and state not in "ZX":
                found[int(name)] = int(parent)
    return found
