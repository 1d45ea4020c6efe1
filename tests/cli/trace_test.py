# SPDX-License-Identifier: GPL-2.0-or-later
"""sluice trace: lines for packets that NFLOG rules report."""

import json
import os
import re
import select
import signal
import subprocess
import time

from tests.cli.command import CommandCase, sluice
from tests.e2e.cases import PodCase
from tests.e2e.cni import cli_path
from tests.e2e.pod import V4, V6, endpoint
from tests.e2e.traffic import APP, CLIENT, SIDECAR, Connection

SENDER = """
import socket, sys
family = socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET
with socket.socket(family, socket.SOCK_DGRAM) as sock:
    sock.bind((sys.argv[1], 4000))
    sock.sendto(b"query", (sys.argv[1], 53))
"""

# Connects as a user; whether somebody listens does not matter.
CALLER = """
import os, socket, sys
os.setuid(int(sys.argv[1]))
with socket.socket() as sock:
    sock.settimeout(1)
    sock.connect_ex((sys.argv[2], 81))
"""


class Trace:
    """A running `sluice trace` that listens."""

    def __init__(self, case, *arguments):
        self.process = subprocess.Popen([cli_path(), "trace", *arguments], stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE, env={"TZ": "UTC"})
        case.addCleanup(self.end)
        self.listening = self.process.stderr.readline().decode()

    def line(self):
        """The next line, as soon as it is there."""
        text = b""
        deadline = time.monotonic() + 10
        while not text.endswith(b"\n"):
            ready, _, _ = select.select([self.process.stdout], [], [], max(0, deadline - time.monotonic()))
            if not ready:
                raise AssertionError(f"no line within 10 s, only {text!r}")
            byte = os.read(self.process.stdout.fileno(), 1)
            if not byte:
                raise AssertionError(f"trace ended: {self.process.stderr.read()!r}")
            text += byte
        return text.decode()

    def wait(self):
        out, err = self.process.communicate(timeout=10)
        return self.process.returncode, out.decode(), err.decode()

    def end(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.process.stdout.close()
        self.process.stderr.close()


class TraceTest(PodCase, CommandCase):
    def setUp(self):
        self.pod = self.live_pod()
        self.netns = ("--netns", self.pod.netns)

    def inside(self, *command):
        subprocess.run(["nsenter", f"--net={self.pod.netns}", *command], check=True, timeout=20)

    def report(self, prefix, group=1337, tool="iptables-legacy"):
        self.inside(tool, "-A", "OUTPUT", "-p", "udp", "--dport", "53", "-j", "NFLOG",
                    "--nflog-group", str(group), "--nflog-prefix", prefix)

    def send(self, address="127.0.0.1"):
        self.inside("/usr/bin/python3", "-c", SENDER, address)

    def test_a_packet_is_a_line_at_once(self):
        self.report("sluice: outbound redirected")
        self.report("sluice: outbound redirected", tool="ip6tables-legacy")
        trace = Trace(self, *self.netns)
        self.assertEqual(trace.listening, "sluice: listening to NFLOG group 1337\n")
        self.send()
        self.assertRegex(trace.line(), r"^\d\d:\d\d:\d\d\.\d{3} outbound redirected: "
                                       r"udp 127\.0\.0\.1:4000 -> 127\.0\.0\.1:53 out lo uid 0 gid 0\n$")
        self.send("::1")
        self.assertRegex(trace.line(), r" outbound redirected: udp \[::1\]:4000 -> \[::1\]:53 out lo uid 0 gid 0\n$")

    def test_what_the_rules_report_with_log_enabled(self):
        for mode in ("REDIRECT", "TPROXY"):
            with self.subTest(mode=mode):
                self.prints("apply", *self.netns, "--log", "--ipv6", "always", "--interception-mode", mode)
                trace = Trace(self, *self.netns)
                address = re.escape(V4.peer)
                for user, event in ((1000, "outbound redirected"), (1337, "outbound passed")):
                    self.inside("/usr/bin/python3", "-c", CALLER, str(user), V4.peer)
                    line = trace.line()
                    # In mode TPROXY what goes to the sidecar is also seen as it comes in over lo.
                    while mode == "TPROXY" and " in lo" in line:
                        line = trace.line()
                    self.assertRegex(line, rf" {event}: tcp \S+ -> {address}:81 out \S+ uid {user} gid 0\n$")
                trace.end()

    def test_each_kind_of_report_in_both_families(self):
        for mode in ("REDIRECT", "TPROXY"):
            self.prints("apply", *self.netns, "--log", "--ipv6", "always", "--interception-mode", mode)
            for family in (V4, V6):
                for caller, address, port, event in (
                        (CLIENT, family.pod, 8080, "inbound redirected"), (CLIENT, family.pod, 15021, "inbound passed"),
                        (APP, family.outside, 80, "outbound redirected"), (SIDECAR, family.outside, 80, "outbound passed")):
                    self.is_reported(f"{mode} {event}", event, Connection(caller, address, port))

    def test_what_is_blocked_is_reported(self):
        self.prints("apply", *self.netns, "--log", "--ipv6", "block")
        for caller, address in ((CLIENT, V6.pod), (APP, V6.outside)):
            self.is_reported(caller.name, "blocked", Connection(caller, address, 80))

    def is_reported(self, case, event, connection):
        """By the first line that is not of the sidecar's packets over lo."""
        with self.subTest(case, connection=connection.title()):
            trace = Trace(self, *self.netns)
            self.pod.land(connection)
            line = trace.line()
            while " in lo" in line:
                line = trace.line()
            trace.end()
            self.assertIn(f" {event}: tcp ", line)
            self.assertIn(f" -> {endpoint(connection.address, connection.port)} ", line)

    def test_signals_end_it_well(self):
        for number in (signal.SIGTERM, signal.SIGINT):
            with self.subTest(signal=number):
                trace = Trace(self, *self.netns)
                trace.process.send_signal(number)
                self.assertEqual(trace.wait(), (0, "", ""))

    def test_count_ends_it(self):
        self.report("sluice: a")
        trace = Trace(self, *self.netns, "--count", "2")
        self.send()
        trace.line()
        self.assertIsNone(trace.process.poll())
        self.send()
        status, out, err = trace.wait()
        self.assertEqual((status, out.count("\n"), err), (0, 1, ""))

    def test_only_our_reports_unless_all_are_asked_for(self):
        self.report("theirs: x")
        self.report("sluice: ours")
        ours = Trace(self, *self.netns, "--count", "1")
        self.send()
        self.assertRegex(ours.line(), r"^\S+ ours: udp ")
        self.assertEqual(ours.wait()[0], 0)
        both = Trace(self, *self.netns, "--all", "--count", "2")
        self.send()
        self.assertRegex(both.line(), r"^\S+ theirs: x: udp ")
        self.assertRegex(both.line(), r"^\S+ ours: udp ")

    def test_another_group(self):
        self.report("sluice: other", group=7)
        trace = Trace(self, *self.netns, "--group", "7", "--count", "1")
        self.assertEqual(trace.listening, "sluice: listening to NFLOG group 7\n")
        self.send()
        self.assertIn(" other: udp ", trace.line())

    def test_json(self):
        self.report("sluice: outbound redirected")
        trace = Trace(self, *self.netns, "--json", "--count", "1")
        self.send()
        report = json.loads(trace.line())
        self.assertTrue(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", report.pop("time")))
        self.assertEqual(report, {"prefix": "sluice: outbound redirected", "protocol": "udp",
                                  "source": "127.0.0.1", "sourcePort": 4000, "destination": "127.0.0.1",
                                  "destinationPort": 53, "out": "lo", "uid": 0, "gid": 0})

    def test_what_the_pod_chose_is_escaped(self):
        self.inside("ip", "link", "add", "e\x1b\x07\udcff", "type", "veth", "peer", "name", "other")
        self.inside("ip", "addr", "add", "10.99.0.1/24", "dev", "e\x1b\x07\udcff")
        for name in ("e\x1b\x07\udcff", "other"):
            self.inside("ip", "link", "set", name, "up")
        self.report("sluice: \x1b[31mred\udcff")
        for options, expected in (((), r" \\x1B\[31mred\\xFF: .* out e\\x1B\\x07\\xFF "),
                                  (("--json",), r'"prefix":"sluice: \\\\x1B\[31mred\\\\xFF".*"out":"e\\\\x1B\\\\x07\\\\xFF"')):
            with self.subTest(options=options):
                trace = Trace(self, *self.netns, "--count", "1", *options)
                self.inside("/usr/bin/python3", "-c", "import socket; socket.socket(type=socket.SOCK_DGRAM)"
                                                      ".sendto(b'x', ('10.99.0.2', 53))")
                line = trace.line()
                self.assertTrue(line.isprintable() or line[:-1].isprintable(), line)
                self.assertRegex(line, re.compile(expected, re.IGNORECASE))

    def test_a_second_listener_is_refused(self):
        Trace(self, *self.netns)
        self.refuses("trace", *self.netns, says="listen to NFLOG group 1337 (another process may be listening to it)")

    def test_a_reader_that_is_gone_ends_it(self):
        self.report("sluice: a")
        trace = Trace(self, *self.netns)
        trace.process.stdout.close()
        self.send()
        self.assertEqual(trace.process.wait(timeout=10), 1)

    def test_bad_arguments(self):
        for path, reason in (("/nonexistent", "/nonexistent"), ("/etc/passwd", "/etc/passwd")):
            self.refuses("trace", "--netns", path, says=f'--netns "{reason}"')
        self.refuses("trace", says="--netns is required")
        self.refuses("trace", *self.netns, "--group", "65536", says="--group")
        self.refuses("trace", *self.netns, "--group", "x", says="--group")
        for count in ("0", "-1", "x"):
            self.refuses("trace", *self.netns, "--count", count, says="--count")
        self.assertIn("trace", sluice().err)
