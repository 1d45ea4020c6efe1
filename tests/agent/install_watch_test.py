# SPDX-License-Identifier: GPL-2.0-or-later
"""The agent that keeps the installation in place, beside installers that undo it."""

import json
import os
import shutil
import subprocess
import time
import unittest

from tests.agent.installation import (BRIDGE, CALICO, CILIUM, OURS, PATIENCE, WRITTEN, Node, OtherInstaller, cpu_seconds,
                                      eventually, replace)

AT_WAR = "somebody keeps undoing"


class Watching(unittest.TestCase):
    def setUp(self):
        self.node = Node()
        self.addCleanup(self.node.close)

    def logs(self, text):
        eventually(lambda: text in self.node.log(), f"{text!r} in the log")

    def settles(self, name):
        eventually(lambda: self.node.has_entry(name), f"the entry in {name}")


class Waiting(Watching):
    def test_a_directory_that_appears_later(self):
        shutil.rmtree(self.node.root / "etc")
        with self.node.watching():
            self.logs("does not exist")
            self.node.net.mkdir(parents=True)
            self.logs("no network configuration")
            self.node.write("10-calico.conflist", CALICO)
            self.settles("10-calico.conflist")

    def test_a_bin_directory_that_appears_later(self):
        self.node.bin.rmdir()
        self.node.write("10-calico.conflist", CALICO)
        with self.node.watching():
            self.logs("does not exist")
            self.assertEqual(self.node.text("10-calico.conflist"), CALICO)
            self.node.bin.mkdir()
            self.settles("10-calico.conflist")

    def test_a_file_that_is_written_in_two_parts(self):
        with self.node.watching():
            self.logs("no network configuration")
            with open(self.node.net / "10-calico.conflist", "w", encoding="utf-8") as file:
                file.write(CALICO[:60])
                file.flush()
                self.logs("cannot be read")
                self.assertEqual(self.node.text("10-calico.conflist"), CALICO[:60])
                file.write(CALICO[60:])
            self.settles("10-calico.conflist")

    def test_a_conf_that_its_owner_brings_back(self):
        self.node.write("10-bridge.conf", BRIDGE)
        with self.node.watching():
            self.settles("10-bridge.conflist")
            replace(self.node.net / "10-bridge.conf", BRIDGE)
            eventually(lambda: self.node.names() == ["10-bridge.conflist"], "the list alone")

    def test_a_symlink_put_in_place_and_a_link_from_elsewhere(self):
        with self.node.watching():
            self.logs("no network configuration")
            self.node.write("generated", CALICO)
            os.symlink("generated", self.node.net / "10-calico.conflist")
            self.settles("10-calico.conflist")
            (self.node.root / "made").write_text(CILIUM)
            os.link(self.node.root / "made", self.node.net / "05-cilium.conflist")
            self.settles("05-cilium.conflist")


class Quiet(Watching):
    def test_its_own_writes_make_no_more_than_one_further_pass(self):
        self.node.write("10-calico.conflist", CALICO)
        log = self.node.root / "trace"
        # -D: the process is the agent, not its tracer.
        command = ["strace", "-D", "-f", "-o", str(log), "-e", "trace=openat", *self.node.command("--watch")]
        passes = lambda: log.read_text().count(f'"{self.node.plugin}"')
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                                   env={**os.environ, "ASAN_OPTIONS": "detect_leaks=0"})
        try:
            self.settles("10-calico.conflist")
            started = time.monotonic()
            while time.monotonic() - started < 4:
                self.assertLessEqual(passes(), 3)
                time.sleep(0.1)
            self.assertGreaterEqual(passes(), 1)
        finally:
            process.terminate()
            process.wait(PATIENCE)

    def test_sigterm_leaves_plugin_and_entry_in_place(self):
        self.node.write("10-calico.conflist", CALICO)
        with self.node.watching():
            self.settles("10-calico.conflist")
        self.assertTrue(self.node.has_entry("10-calico.conflist"))
        self.assertTrue((self.node.bin / OURS).exists())


class Wars(Watching):
    def check_war(self, act, name):
        """`act` undoes us every tenth of a second until it was told; the processor is hardly used meanwhile."""
        with self.node.watching() as process:
            self.settles(name)
            started, used = time.monotonic(), cpu_seconds(process.pid)
            with OtherInstaller(act) as other:
                self.logs(AT_WAR)
                eventually(lambda: time.monotonic() - started > 6, "some seconds of war")
                lasted, used = time.monotonic() - started, cpu_seconds(process.pid) - used
            self.assertGreater(other.writes, 5)
            self.assertLess(used, 0.25 * lasted)
            self.settles(name)
            self.assertEqual(self.node.log().count(AT_WAR), 1, self.node.log())
            self.assertLess(self.node.log().count("\n"), 30, self.node.log())
        self.assertFalse(self.node.temporary_files())

    def test_an_owner_that_renames_its_file_into_place_ten_times_a_second(self):
        path = self.node.write("10-calico.conflist", CALICO)

        def act():
            replace(path, CALICO)
            return True

        self.check_war(act, "10-calico.conflist")
        self.assertEqual(json.loads(self.node.text("10-calico.conflist"))["plugins"][:-1], json.loads(CALICO)["plugins"])

    def test_an_owner_that_writes_over_its_file_ten_times_a_second(self):
        path = self.node.write("10-calico.conflist", CALICO)

        def act():
            with open(path, "w", encoding="utf-8") as file:
                file.write(CALICO[:50])
                file.flush()
                file.write(CALICO[50:])
            return True

        self.check_war(act, "10-calico.conflist")

    def test_cilium_that_wants_to_be_alone(self):
        self.node.write("10-calico.conflist", CALICO)
        own = self.node.write("05-cilium.conflist", CILIUM)

        def act():
            changed = False
            for path in self.node.net.iterdir():
                if path != own and path.suffix in (".conf", ".conflist", ".json"):
                    path.rename(path.with_name(path.name + ".cilium_bak"))
                    changed = True
            if own.read_text() != CILIUM:
                own.write_text(CILIUM)
                changed = True
            return changed

        with self.node.watching():
            self.settles("05-cilium.conflist")
            with OtherInstaller(act, every=0.05):
                self.logs(AT_WAR)
            self.settles("05-cilium.conflist")
            self.assertEqual(self.node.log().count(AT_WAR), 1)
            self.assertEqual(self.node.text("10-calico.conflist.cilium_bak"), CALICO)

    def test_a_program_that_others_remove(self):
        self.node.write("10-calico.conflist", CALICO)
        binary = self.node.bin / OURS

        def act():
            there = binary.exists()
            binary.unlink(missing_ok=True)
            return there

        with self.node.watching():
            self.settles("10-calico.conflist")
            with OtherInstaller(act):
                self.logs(AT_WAR)
            eventually(binary.exists, "the program")
            self.assertTrue(self.node.has_entry("10-calico.conflist"))


class Peace(Watching):
    def test_linkerd_that_puts_itself_last_settles_in_two_rounds(self):
        path = self.node.write("10-calico.conflist", CALICO)
        written = []

        def act():
            text = path.read_text()
            if written and text == written[-1]:
                return False
            document = json.loads(text)
            document["plugins"] = [plugin for plugin in document["plugins"] if plugin["type"] != "linkerd-cni"]
            document["plugins"].append({"type": "linkerd-cni"})
            written.append(json.dumps(document, sort_keys=True, indent=2))
            replace(path, written[-1])
            return True

        with self.node.watching(), OtherInstaller(act, every=0.05):
            eventually(lambda: self.node.has_entry(path.name) and "linkerd-cni" in path.read_text()
                       and path.read_text() == written[-1], "both entries")
            settled, writes, started = path.read_bytes(), len(written), time.monotonic()
            self.assertLessEqual(writes, 2)
            while time.monotonic() - started < 4:
                self.assertEqual(path.read_bytes(), settled)
                time.sleep(0.05)
            self.assertEqual(len(written), writes)
            self.assertEqual(self.node.types(path.name), ["calico", "portmap", OURS, "linkerd-cni"])

    def test_istio_that_comes_beside_is_told_and_nothing_rewritten(self):
        path = self.node.write("10-calico.conflist", CALICO)
        with self.node.watching():
            self.logs("installed: ")
            document = json.loads(path.read_text())
            document["plugins"].append({"type": "istio-cni"})
            replace(path, json.dumps(document))
            self.logs("istio-cni beside ours")
            self.assertEqual(path.read_text(), json.dumps(document))
            document["plugins"].pop()
            replace(path, json.dumps(document))
            eventually(lambda: self.node.log().count("installed: ") == 2, "installed again")
            self.assertEqual(path.read_text(), json.dumps(document))
            self.assertEqual(document["plugins"][-1], WRITTEN)


if __name__ == "__main__":
    unittest.main()
