# SPDX-License-Identifier: GPL-2.0-or-later
"""Node agents for the plugin to talk to: one that works, and several that do not."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

PACKET_LIMIT = 2 << 20
SO_SNDBUFFORCE = 32  # asm-generic/socket.h
# Long enough for a machine that is busy with other things; nothing waits for it to pass.
PATIENCE = 60


def pod_object(*, args=("proxy", "sidecar"), env=(), annotations=None, **security):
    """The v1.Pod of demo/web-0 as an agent has it; security is that of the sidecar."""
    sidecar = {
        "name": "istio-proxy",
        "args": list(args),
        "env": [{"name": name, "value": value} for name, value in dict(env).items()],
        "securityContext": security,
    }
    return {
        "kind": "Pod",
        "apiVersion": "v1",
        "metadata": {"name": "web-0", "namespace": "demo", "annotations": annotations or {}},
        "spec": {"containers": [{"name": "app"}, sidecar]},
    }


def answer(message):
    """Answers every question with this document (or these bytes)."""
    packet = message if isinstance(message, bytes) else json.dumps(message).encode()

    def behaviour(connection, question, stopping):
        connection.setsockopt(socket.SOL_SOCKET, SO_SNDBUFFORCE, 2 * PACKET_LIMIT)
        connection.send(packet)

    return behaviour


def hang(connection, question, stopping):
    """Reads the question and never answers."""
    stopping.wait()


def close(connection, question, stopping):
    """Reads the question and closes."""


class Agent:
    """Notes every message that comes and answers look-ups by `behaviour`."""

    def __init__(self, case, behaviour):
        self.path = os.path.join(_folder(case), "agent.sock")
        self.behaviour = behaviour
        self._messages = []
        self._changed = threading.Condition()
        self._stopping = threading.Event()
        self._listener = _listener(self.path, 128)
        self._threads = []
        self._accepting = threading.Thread(target=self._accept)
        self._accepting.start()
        case.addCleanup(self.stop)

    def stop(self):
        if self._stopping.is_set():
            return
        self._stopping.set()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._accepting.join()
        self._listener.close()
        for thread in self._threads:
            thread.join()

    def _accept(self):
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            thread = threading.Thread(target=self._serve, args=(connection,))
            self._threads.append(thread)
            thread.start()

    def _serve(self, connection):
        with connection, contextlib.suppress(OSError):
            packet = connection.recv(PACKET_LIMIT)
            message = json.loads(packet) if packet else {"kind": "nothing"}
            with self._changed:
                self._messages.append(message)
                self._changed.notify_all()
            if message["kind"] == "lookup":
                self.behaviour(connection, message, self._stopping)

    def _of_kind(self, kind):
        return [message for message in self._messages if message["kind"] == kind]

    def questions(self):
        with self._changed:
            return self._of_kind("lookup")

    def reports(self, count):
        """The reports, as soon as there are as many. Each comes after the plugin's stdout."""
        with self._changed:
            self._changed.wait_for(lambda: len(self._of_kind("report")) >= count, PATIENCE)
            return self._of_kind("report")


class Deaf:
    """Listens and accepts nobody. crowded: so many wait already that connecting would block."""

    def __init__(self, case, crowded=False):
        self.path = os.path.join(_folder(case), "agent.sock")
        listener = _listener(self.path, 4)
        case.addCleanup(listener.close)
        while crowded:
            client = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            case.addCleanup(client.close)
            client.setblocking(False)
            try:
                client.connect(self.path)
            except BlockingIOError:
                return


_CHILD = """
import os, socket, sys
path, uid, count = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
os.setgid(uid)
os.setuid(uid)
listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
listener.bind(path)
listener.listen(16)
print("ready", flush=True)
for _ in range(count):
    print(listener.accept()[0].recv(1 << 20), flush=True)
"""


class Process:
    """An agent in a process of its own that accepts `count` connections, reads and prints a packet of each."""

    def __init__(self, case, uid=0, count=16):
        self.path = os.path.join(_folder(case), "agent.sock")
        self._child = subprocess.Popen(
            [sys.executable, "-c", _CHILD, self.path, str(uid), str(count)],
            stdout=subprocess.PIPE,
            text=True,
        )
        case.addCleanup(self._end)
        case.assertEqual(self._child.stdout.readline(), "ready\n")

    def freeze(self):
        os.kill(self._child.pid, signal.SIGSTOP)
        deadline = time.monotonic() + PATIENCE
        while self._state() != "T" and time.monotonic() < deadline:
            time.sleep(0.01)

    def _state(self):
        with open(f"/proc/{self._child.pid}/stat") as stat:
            return stat.read().rpartition(")")[2].split()[0]

    def heard(self):
        """All that it printed, once it has ended by itself."""
        out, _ = self._child.communicate(timeout=PATIENCE)
        return out.splitlines()

    def _end(self):
        self._child.kill()
        self._child.wait()
        self._child.stdout.close()


def _listener(path, backlog):
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    listener.bind(path)
    listener.listen(backlog)
    return listener


def _folder(case):
    folder = tempfile.TemporaryDirectory(prefix="sluice-agent-")
    case.addCleanup(folder.cleanup)
    os.chmod(folder.name, 0o777)
    return folder.name


def nowhere(case):
    """A path at which nothing is."""
    return os.path.join(_folder(case), "agent.sock")
