# SPDX-License-Identifier: GPL-2.0-or-later
"""Runs kube_driver: the agent's side of the API server."""
import json
import os
import queue
import subprocess
import threading
import time
import unittest

from tests.agent.api_server import ApiServer
from tests.agent.programs import SANITIZED, driver

PROGRAM = driver("kube_driver")
NODE = "node-1"


class Driver:
    """`logs` and `restarts` fill by themselves; state() asks for the cache."""

    def __init__(self, server: ApiServer, mode: str = "watch", times: tuple = (), url: str = "",
                 env: dict | None = None):
        self.logs: list[dict] = []
        self.restarts: list[str] = []
        self._answers: queue.Queue = queue.Queue()
        command = [PROGRAM, mode, url or server.url, server.token_file, server.ca_file, NODE,
                   *map(str, times)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        text=True, env={**os.environ, **(env or {})})
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self):
        for line in self.process.stdout:
            message = json.loads(line)
            if "log" in message:
                self.logs.append(message)
            elif "restart" in message:
                self.restarts.append(message["restart"])
            else:
                self._answers.put(message)

    def ask(self, line: str = "") -> dict:
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        return self._answers.get(timeout=60)

    def act(self, **command) -> dict:
        return self.ask(json.dumps(command))

    def state(self) -> dict:
        return self.ask()

    def changes(self) -> int:
        """How often the cache has changed: cheap to ask."""
        return self.ask("changes")["changes"]

    def names(self) -> set:
        return {pod["name"] for pod in self.state()["cache"]}

    def texts(self, level: str = "warn") -> list[str]:
        return [log["text"] for log in self.logs if log["log"] == level]

    def close(self) -> float:
        """Seconds that it took to end."""
        start = time.monotonic()
        self.process.stdin.close()
        code = self.process.wait(timeout=60)
        self._reader.join(timeout=10)
        self.process.stdout.close()
        if code != 0:
            raise AssertionError(f"the driver ends with {code}")
        return time.monotonic() - start


class KubeTest(unittest.TestCase):
    def setUp(self):
        self.server = ApiServer().start()
        self.addCleanup(self.server.close)

    def drive(self, **options) -> Driver:
        driver = Driver(self.server, **options)
        self.addCleanup(lambda: driver.process.poll() is None and driver.close())
        return driver

    def watching(self, **options) -> Driver:
        """A driver whose watch is open."""
        driver = self.drive(**options)
        self.wait(lambda: self.server.streams == 1 and driver.state()["ready"])
        return driver

    def wait(self, condition, seconds: float = 60, what: str = ""):
        self.server.wait(condition, seconds, what)
