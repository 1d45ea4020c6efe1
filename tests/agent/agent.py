# SPDX-License-Identifier: GPL-2.0-or-later
"""Starts sluice-agent on a node made of temporary folders, and asks it how it is."""

import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request

from tests.agent.programs import AGENT, PLUGIN, SANITIZED

__all__ = ["AGENT", "SANITIZED", "Agent", "Node", "wait_until"]

PATIENCE = 30
NODE = "node-1"
DAEMONSET = "sluice-system/sluice-agent"
PRIMARY = {
    "cniVersion": "1.0.0",
    "name": "podnet",
    "plugins": [{"type": "ptp", "ipam": {"type": "host-local", "subnet": "10.244.0.0/24"}}],
}


def wait_until(condition, what, seconds=PATIENCE):
    """The condition's first true value; fails the test when it does not come."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        value = condition()
        if value:
            return value
        time.sleep(0.01)
    raise AssertionError(f"{what}: not within {seconds} s")


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Node:
    """The folders of a node: network configuration, plugins, the agent's socket."""

    def __init__(self):
        self.root = pathlib.Path(tempfile.mkdtemp(prefix="sluice-node-"))
        self.conf_dir = self.root / "net.d"
        self.bin_dir = self.root / "bin"
        self.run_dir = self.root / "run"
        self.image = self.root / "image"
        for folder in (self.conf_dir, self.bin_dir, self.run_dir, self.image):
            folder.mkdir()
        shutil.copy(PLUGIN, self.image / "sluice-cni")
        self.socket = self.run_dir / "agent.sock"
        self.conflist = self.conf_dir / "10-podnet.conflist"
        self.conflist.write_text(json.dumps(PRIMARY))
        self.entry = self.root / "entry.json"
        self.entry.write_text("{}")

    def plugins(self):
        return json.loads(self.conflist.read_text())["plugins"]

    def our_entry(self):
        return next((plugin for plugin in self.plugins() if plugin["type"] == "sluice-cni"), None)

    def remove(self):
        shutil.rmtree(self.root)


class Agent:
    """A running `sluice-agent run`, started by `wrapper` if there is one."""

    def __init__(self, node, api, *flags, wrapper=()):
        self.node = node
        self.port = free_port()
        self.log_path = node.root / "agent.log"
        self._log = open(self.log_path, "ab")  # pylint: disable=consider-using-with
        given = {
            "--node": NODE, "--plugin": node.image / "sluice-cni", "--bin-dir": node.bin_dir,
            "--conf-dir": node.conf_dir, "--entry": node.entry, "--socket": node.socket,
            "--http-port": self.port, "--daemonset": DAEMONSET, "--api-server": api.url,
            "--token-file": api.token_file, "--ca-file": api.ca_file, "--netns-dir": "/run/netns",
            "--proc": "/proc", "--log-level": "debug",
        }
        command = [*wrapper, AGENT, "run", *flags]
        for flag, value in given.items():
            if flag not in flags:
                command += [flag, value]
        self.process = subprocess.Popen(
            [str(word) for word in command], stdin=subprocess.DEVNULL, stdout=self._log,
            stderr=subprocess.STDOUT, env={"PATH": os.environ["PATH"]},
        )

    def get(self, path):
        """HTTP status and body; nothing while it does not listen."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=PATIENCE) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()
        except OSError:
            return None, ""

    def ready(self):
        return self.get("/readyz")[0] == 200

    def wait_ready(self):
        wait_until(lambda: self.ready() or self.process.poll() is not None, "the agent is ready")
        if self.process.poll() is not None:
            raise AssertionError(f"the agent ended: {self.log()}")
        return self

    def metric(self, start):
        """The value of the first sample whose line begins with this; None without one."""
        for line in self.get("/metrics")[1].splitlines():
            if line.startswith(start):
                return float(line.rsplit(" ", 1)[1])
        return None

    def status(self):
        """What `sluice-agent status -o json` prints."""
        done = subprocess.run(
            [AGENT, "status", "--socket", str(self.node.socket), "-o", "json"],
            capture_output=True, text=True, timeout=PATIENCE, check=False,
        )
        if done.returncode not in (0, 2):
            raise AssertionError(done.stderr)
        return json.loads(done.stdout)

    def log(self):
        return self.log_path.read_text(errors="replace")

    def memory_kib(self):
        status = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
        return int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmRSS")))

    def cpu_seconds(self):
        fields = pathlib.Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def wait(self):
        """The exit status of an agent that ends by itself."""
        try:
            return self.process.wait(timeout=PATIENCE)
        finally:
            self.kill()

    def kill(self):
        self.process.kill()
        self.process.wait()
        self._log.close()

    def stop(self, seconds=PATIENCE):
        """Ends it as a kubelet does; the exit status, which a sanitizer's finding changes."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(timeout=seconds)
        finally:
            if self.process.poll() is None:
                self.process.kill()
                self.process.wait()
            self._log.close()
