# SPDX-License-Identifier: GPL-2.0-or-later
"""A forked child inside a network namespace, which reports to its parent in JSON lines."""

import atexit
import ctypes
import json
import os
import select
import signal
import time
from typing import Any, Callable

_CLONE_NEWNET = 0x40000000
_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True)

Report = Callable[[Any], None]


class ChildFailed(RuntimeError):
    """The child died, fell silent or could not do what it was made for."""


class Child:
    """Runs work(report) in the given namespace, in a process of its own, until it is stopped."""

    def __init__(self, netns: str, work: Callable[[Report], None]):
        self._inbox, outbox = os.pipe()
        self._pending = b""
        parent = os.getpid()
        self._pid = os.fork()
        if self._pid == 0:
            _live(outbox, parent, netns, work)
        os.close(outbox)
        atexit.register(self.stop)

    def next_report(self, timeout: float) -> Any:
        """The child's next report; raises ChildFailed when there is none in time."""
        deadline = time.monotonic() + timeout
        while b"\n" not in self._pending:
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([self._inbox], [], [], left)[0]:
                raise ChildFailed(f"no report within {timeout} s")
            chunk = os.read(self._inbox, 65536)
            if not chunk:
                raise ChildFailed("ended without a report")
            self._pending += chunk
        line, self._pending = self._pending.split(b"\n", 1)
        report = json.loads(line)
        if "failed" in report:
            raise ChildFailed(report["failed"])
        return report["said"]

    def stop(self) -> None:
        """Ends the child and collects it; safe to call twice."""
        if self._pid == 0:
            return
        pid, self._pid = self._pid, 0
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        os.close(self._inbox)
        atexit.unregister(self.stop)


def become(uid: int, gid: int) -> None:
    """Gives up root for good."""
    parent = os.getppid()
    os.setgroups([])
    os.setgid(gid)
    os.setuid(uid)
    # A change of user clears this setting, so it is made again.
    _die_with(parent)


def _live(outbox: int, parent: int, netns: str, work: Callable[[Report], None]) -> None:
    """The whole life of the child; never returns."""

    def send(message: dict) -> None:
        os.write(outbox, json.dumps(message).encode() + b"\n")

    try:
        # Ctrl-C reaches the whole process group; the parent decides when a child ends.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        _die_with(parent)
        _enter(netns)
        work(lambda said: send({"said": said}))
    except BaseException as error:
        send({"failed": f"{type(error).__name__}: {error}"})
    finally:
        os._exit(0)


def _die_with(parent: int) -> None:
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(0)


def _enter(netns: str) -> None:
    handle = os.open(netns, os.O_RDONLY | os.O_CLOEXEC)
    try:
        if _libc.setns(handle, _CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), f"setns {netns}")
    finally:
        os.close(handle)
