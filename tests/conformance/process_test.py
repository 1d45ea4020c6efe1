# SPDX-License-Identifier: GPL-2.0-or-later
"""Invocation, A-034 to A-044: streams, arguments, and what the process is born with."""

import json
import os
import re
import shutil
import threading
import time

from tests.conformance import unending
from tests.conformance.cases import case
from tests.conformance.conformance import ConformanceCase, ours, plain
from tests.protocol import runtime
from tests.protocol.process_test import CLOSED_STDIN, NO_DIRECTORY
from tests.protocol.trace_test import WRITES

SIGNALS = (
    "/usr/bin/python3", "-c",
    "import os, signal, sys\n"
    "for name in ('SIGPIPE', 'SIGCHLD', 'SIGHUP', 'SIGUSR1'):\n"
    "    signal.signal(getattr(signal, name), signal.SIG_IGN)\n"
    "signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())\n"
    "os.execv(sys.argv[1], sys.argv[1:])\n",
)  # fmt: skip


class Waiting(ConformanceCase):
    @case("A-034", "a stdin that never ends is given up at the deadline, with nothing done")
    def test_a_034(self):
        outcome, pod = unending.outcome()
        self.assertIsNotNone(outcome, f"still waiting after {unending.SECONDS} s")
        self.assert_error(outcome, (5, 11))
        self.assert_not_redirected(pod)


class Process(ConformanceCase):
    @case("A-035", "a document that comes in byte by byte is read whole")
    def test_a_035(self):
        document = plain(prevResult={"cniVersion": "1.0.0"}, capabilities={}, type="")
        text = json.dumps(document).encode()

        def trickle(descriptor):
            for byte in text:
                os.write(descriptor, bytes((byte,)))
                time.sleep(0.01)
            os.close(descriptor)

        read_end, write_end = os.pipe()
        writer = threading.Thread(target=trickle, args=(write_end,))
        writer.start()
        with os.fdopen(read_end, "rb") as stdin:
            outcome = self.passes(document, stdin=stdin, seconds=10)
        writer.join()
        self.assertGreater(outcome.seconds, 0.01 * len(text) / 2)

    @case("A-036", "a closed stdin is an error, and nothing else is read in its place")
    def test_a_036(self):
        pod = self.pod()
        self.refused("ADD", b"", {5, 6}, pod=pod, wrap=(*self.strace("-e", "trace=read"), *CLOSED_STDIN))
        self.release_only("the loader reads libraries through the closed descriptor")
        self.assertFalse([call for call in self.calls() if re.match(r'read\(0, "[^"]', call)], self.calls())

    @case("A-037", "a stdin that cannot be read is an error of input and output")
    def test_a_037(self):
        pod = self.pod()
        for shell in ('exec "$@" </', 'exec "$@" 0>/dev/null'):
            self.refused("ADD", b"", 5, "stdin", pod=pod, wrap=("sh", "-c", shell, "sh"))

    @case("A-038", "with closed standard streams no socket or namespace takes their place")
    def test_a_038(self):
        pod = self.pod()
        for shell in ('exec "$@" <&- >&- 2>&-', 'exec "$@" >&- 2>&-'):
            wrap = (*self.strace("-e", "trace=openat,socket"), "sh", "-c", shell, "sh")
            with self.many():
                outcome = self.call("ADD", ours(pod), pod, wrap=wrap, stdout=runtime.subprocess.DEVNULL)
            self.assertEqual((outcome.rc, outcome.stderr), (1, ""))
            # The runtime follows a failed ADD by DEL.
            self.delete(pod)
            self.release_only("the loader reads libraries through the closed descriptors")
            taken = [call for call in self.calls() if re.search(r"= [012]$", call) and "/dev/null" not in call]
            self.assertEqual(taken, [])

    @case("A-039", "arguments are ignored, ten thousand of them too")
    def test_a_039(self):
        pod = self.pod()
        for argv in (["--help"], ["-v"], ["DEL"], ["x"] * 10000):
            self.add(pod, argv=argv)

    @case("A-040", "it works through a link, under another name, by a relative path, in a directory that is gone")
    def test_a_040(self):
        link, copy = self.directory / "link", self.directory / "other-name"
        link.symlink_to(runtime.PLUGIN)
        shutil.copy(runtime.PLUGIN, copy)
        pod = self.pod()
        for program in (link, copy, "./link"):
            self.add(pod, wrap=("sh", "-c", f'exec "{program}"', "sh"), cwd=self.directory)
        self.add(pod, wrap=NO_DIRECTORY)

    @case("A-041", "5,000 variables, a library to preload and a Turkish locale change nothing")
    def test_a_041(self):
        env = {f"VARIABLE_{number}": "x" * 20 for number in range(5000)}
        env |= {"LD_PRELOAD": "/nowhere/x.so", "LC_ALL": "tr_TR.UTF-8", "LANG": "tr_TR.UTF-8"}
        pod = self.pod()
        self.add(pod, ours(pod, INCLUDEINBOUNDPORTS="80"), env=env)
        self.silent("CHECK", ours(pod, INCLUDEINBOUNDPORTS="80"), pod, env=env)

    @case("A-042", "it works with all signals blocked and some ignored")
    def test_a_042(self):
        pod = self.pod()
        self.add(pod, wrap=SIGNALS)
        self.delete(pod, wrap=SIGNALS)

    @case("A-043", "under tight limits it works or says why not, and is never half done")
    def test_a_043(self):
        self.release_only()
        for limit in ("--nofile=16", "--nofile=4", "--fsize=0", "--as=67108864", "--as=8388608", "--nproc=1"):
            with self.subTest(limit=limit):
                pod = self.pod()
                with self.many():
                    self.clean(self.call("ADD", ours(pod), pod, wrap=("prlimit", limit)), pod)

    @case("A-044", "whatever the umask, no file is made: there is no state to protect")
    def test_a_044(self):
        pod = self.pod()
        for umask in ("0777", "0"):
            for command in ("ADD", "CHECK", "DEL"):
                wrap = (*self.strace("-e", "trace=%file"), "sh", "-c", f'umask {umask}; exec "$@"', "sh")
                self.assertEqual(self.call(command, ours(pod), pod, wrap=wrap).rc, 0)
                writes = [call for call in self.calls() if WRITES.search(call) and "/dev/null" not in call]
                self.assertEqual(writes, [])
