# SPDX-License-Identifier: GPL-2.0-or-later
"""A node's directories, the agent that installs into them, and other installers beside it."""

import contextlib
import json
import os
import pathlib
import shutil
import signal
import subprocess
import tempfile
import threading
import time
import unittest

from tests.agent.programs import AGENT, PLUGIN

INSTALLED, FAILED, WAITING, BLOCKED = 0, 1, 3, 4
OURS = "sluice-cni"
# What is asked for, and our member of "plugins" that becomes of it.
ENTRY = {"logLevel": "info", "namespaces": {"team-a": {"proxyUid": [1, 2]}}}
WRITTEN = {"type": OURS, "capabilities": {"io.kubernetes.cri.pod-annotations": True, "dns": True}, **ENTRY}
# Nobody waits this long: it only ends a test that has failed.
PATIENCE = 120

CALICO = """{
  "name": "k8s-pod-network",
  "cniVersion": "0.3.1",
  "plugins": [
    {
      "type": "calico",
      "mtu": 1440
    },
    {
      "type": "portmap",
      "capabilities": {"portMappings": true}
    }
  ]
}
"""
CILIUM = '{"cniVersion": "0.3.1", "name": "cilium", "plugins": [{"type": "cilium-cni"}]}\n'
BRIDGE = '{"cniVersion":"0.4.0", "name":"bridge-net", "type":"bridge", "ipam":{"type":"host-local"}}\n'


def eventually(condition, what):
    """Polls until the condition holds; its value."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        value = condition()
        if value:
            return value
        time.sleep(0.02)
    raise AssertionError(f"never came to be: {what}")


class Node:
    """Directories of a node; to be closed."""

    def __init__(self, conf_dir="etc/cni/net.d", bin_dir="opt/cni/bin"):
        self.root = pathlib.Path(tempfile.mkdtemp(prefix="sluice-install-"))
        self.net = self.root / conf_dir
        self.bin = self.root / bin_dir
        self.plugin = self.root / "image" / OURS
        self.entry = self.root / "entry.json"
        for directory in (self.net, self.bin, self.plugin.parent):
            directory.mkdir(parents=True)
        shutil.copy(PLUGIN, self.plugin)
        self.entry.write_text(json.dumps(ENTRY))

    def close(self):
        shutil.rmtree(self.root, ignore_errors=True)

    def command(self, *flags):
        return [AGENT, "install", "--plugin", str(self.plugin), "--bin-dir", str(self.bin),
                "--conf-dir", str(self.net), "--entry", str(self.entry), *flags]

    def install(self, *flags, wrapper=()):
        """Return code and the line of one pass."""
        done = subprocess.run([*wrapper, *self.command(*flags)], capture_output=True, text=True,
                              timeout=PATIENCE, check=False)
        return done.returncode, done.stdout + done.stderr

    def uninstall(self):
        done = subprocess.run([AGENT, "uninstall", "--conf-dir", str(self.net)],
                              capture_output=True, text=True, timeout=PATIENCE, check=False)
        return done.returncode, done.stdout + done.stderr

    def write(self, name, text):
        (self.net / name).write_text(text)
        return self.net / name

    def text(self, name):
        return (self.net / name).read_text()

    def types(self, name):
        return [plugin["type"] for plugin in json.loads(self.text(name))["plugins"]]

    def names(self):
        return sorted(os.listdir(self.net))

    def temporary_files(self):
        directories = [directory for directory in (self.net, self.bin) if directory.is_dir()]
        return [name for directory in directories for name in os.listdir(directory) if "sluice-tmp" in name]

    def files(self):
        """All of conf and bin directory: name to bytes."""
        return {f"{directory.name}/{path.name}": path.read_bytes()
                for directory in (self.net, self.bin) for path in directory.iterdir()}

    @contextlib.contextmanager
    def watching(self, *flags):
        """The agent that stays; ended by SIGTERM, which it must obey."""
        with open(self.root / "log", "wb") as log:
            process = subprocess.Popen(self.command("--watch", *flags), stdout=subprocess.DEVNULL, stderr=log)
        try:
            yield process
            process.send_signal(signal.SIGTERM)
            assert process.wait(PATIENCE) == 0, self.log()
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()

    def log(self):
        return (self.root / "log").read_text()

    def has_entry(self, name):
        """Also while others write the file."""
        try:
            return OURS in self.types(name)
        except (OSError, ValueError, KeyError):
            return False


class Installation(unittest.TestCase):
    """One pass at a time on a node of its own."""

    def setUp(self):
        self.node = Node()
        self.addCleanup(self.node.close)

    def check(self, expected, *flags, says="", wrapper=()):
        code, line = self.node.install(*flags, wrapper=wrapper)
        self.assertEqual(code, expected, line)
        self.assertIn(says, line)
        self.assertEqual(line.count("\n"), 1, line)
        self.assertFalse(self.node.temporary_files())
        return line

    def check_untouched(self, expected, *flags, says=""):
        before = {name: (self.node.net / name).lstat() for name in self.node.names()}
        line = self.check(expected, *flags, says=says)
        after = {name: (self.node.net / name).lstat() for name in self.node.names()}
        self.assertEqual(before.keys(), after.keys())
        for name, status in before.items():
            self.assertEqual((status.st_ino, status.st_mtime_ns, status.st_size),
                             (after[name].st_ino, after[name].st_mtime_ns, after[name].st_size))
        return line

    def added(self, text):
        """What an owner's list is with the entry behind its last plugin."""
        document = json.loads(text)
        document["plugins"].append(WRITTEN)
        return document


def replace(path, text):
    """As a careful installer writes."""
    temporary = path.with_name(path.name + ".tmp")
    temporary.write_text(text)
    os.rename(temporary, path)


class OtherInstaller:
    """Calls `act` over and over in a thread until it is left."""

    def __init__(self, act, every=0.1):
        self.writes = 0
        self._act = act
        self._every = every
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def _run(self):
        while not self._stop.wait(self._every):
            if self._act():
                self.writes += 1

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._stop.set()
        self._thread.join()


def cpu_seconds(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
