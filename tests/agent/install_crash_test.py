# SPDX-License-Identifier: GPL-2.0-or-later
"""kill -9 at each system call of an installation that writes: every file is whole, the next pass goes on from there."""

import collections
import json
import os
import re
import subprocess
import unittest

from tests.agent.installation import BRIDGE, CALICO, INSTALLED, OURS, PATIENCE, Node

WRITING = ("openat,write,pwrite64,fsync,fdatasync,rename,renameat,renameat2,unlink,unlinkat,fchmod,fchmodat,fchown,"
           "fchownat,fsetxattr,link,linkat,ftruncate,close")
# The leak checker cannot work under a tracer.
ENVIRONMENT = {**os.environ, "ASAN_OPTIONS": "detect_leaks=0"}


class Killed(unittest.TestCase):
    def setUp(self):
        self.node = Node()
        self.addCleanup(self.node.close)

    def reset(self, before):
        """Both directories as they were, whatever a killed pass has left."""
        for directory in (self.node.net, self.node.bin):
            for path in directory.iterdir():
                path.unlink()
        for name, content in before.items():
            directory, _, file = name.partition("/")
            path = {"net.d": self.node.net, "bin": self.node.bin}[directory] / file
            path.write_bytes(content)
            path.chmod(0o755 if directory == "bin" else 0o644)
            os.setxattr(path, "trusted.sluice-test", b"x")

    def traced(self, *options):
        return subprocess.run(["strace", "-f", *options, *self.command], env=ENVIRONMENT,
                              capture_output=True, text=True, timeout=PATIENCE, check=False)

    def calls(self):
        """(system call, its number among those of its name), from the first that sees one of our directories on."""
        log = self.node.root / "trace"
        done = self.traced("-o", str(log), "-e", f"trace={WRITING}")
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        counted = collections.Counter()
        seen = False
        calls = []
        for line in log.read_text().splitlines():
            match = re.match(r"\d+ +(\w+)\(", line)
            if not match:
                continue
            counted[match[1]] += 1
            seen = seen or str(self.node.root) in line
            if seen:
                calls.append((match[1], counted[match[1]]))
        return calls

    def check_killed_everywhere(self, command):
        self.command = command
        before = self.node.files()
        self.reset(before)
        calls = self.calls()
        after = self.node.files()
        self.assertGreater(len(calls), 20)
        self.assertNotEqual(before, after)
        killed = 0
        for name, number in calls:
            with self.subTest(call=name, number=number):
                self.reset(before)
                done = self.traced("-o", "/dev/null", "-e", f"trace={name}", "-e",
                                   f"inject={name}:signal=KILL:when={number}")
                killed += done.returncode == -9 or done.returncode == 137
                self.check_whole(before, after)
                done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)
                self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
                self.assertEqual(self.node.files(), after)
        self.assertEqual(killed, len(calls))

    def check_whole(self, before, after):
        found = self.node.files()
        for name, content in found.items():
            if "sluice-tmp" not in name:
                self.assertIn(content, (before.get(name), after.get(name)), name)
        lists = sorted(name for name in found if name.endswith((".conf", ".conflist", ".json")))
        self.assertTrue(lists)
        for name in lists:
            json.loads(found[name])
        # Never an entry that names a program that is not there.
        if any(OURS.encode() in found[name] for name in lists):
            self.assertEqual(found["bin/" + OURS], self.node.plugin.read_bytes())

    def test_while_a_list_is_edited(self):
        self.node.write("10-calico.conflist", CALICO)
        self.check_killed_everywhere(self.node.command())

    def test_while_a_conf_becomes_a_list(self):
        self.node.write("10-bridge.conf", BRIDGE)
        self.check_killed_everywhere(self.node.command())

    def test_while_istio_and_an_older_plugin_are_replaced(self):
        self.node.write("10-calico.conflist", CALICO.replace("portmap", "istio-cni"))
        (self.node.bin / OURS).write_bytes(b"older")
        (self.node.bin / OURS).chmod(0o755)
        self.check_killed_everywhere(self.node.command("--migrate"))

    def test_while_the_entry_is_taken_out(self):
        for name in ("05-a.conflist", "10-calico.conflist"):
            self.node.write(name, CALICO)
            self.assertEqual(self.node.install("--conf-file", name)[0], INSTALLED)
        self.check_killed_everywhere([self.node.command()[0], "uninstall", "--conf-dir", str(self.node.net)])


if __name__ == "__main__":
    unittest.main()
