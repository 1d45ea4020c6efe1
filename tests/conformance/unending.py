# SPDX-License-Identifier: GPL-2.0-or-later
"""The one call that waits for long: an ADD whose document is all there while its stdin stays open.

It starts with the first class of the suite that runs, so that it waits while the others work.
"""

import json
import os
import subprocess
import threading

from tests.protocol import runtime
from tests.protocol.netconf import mesh_conf

# The plugin's deadline of 20 s, and a busy machine.
SECONDS = 25

_threads = []
_outcomes = []
_pods = []


def _wait(pod):
    read_end, write_end = os.pipe()
    os.write(write_end, json.dumps(mesh_conf(pod)).encode())
    with os.fdopen(read_end, "rb") as stdin:
        try:
            _outcomes.append(runtime.run("ADD", stdin, pod, timeout=SECONDS))
        except subprocess.TimeoutExpired:
            pass
        finally:
            os.close(write_end)


def start():
    """Starts the call; once, however often it is asked to."""
    if not _threads:
        _pods.append(runtime.Pod())
        _threads.append(threading.Thread(target=_wait, args=(_pods[0],), daemon=True))
        _threads[0].start()


def outcome():
    """Its outcome, nothing if it was still waiting after all this time, and its pod."""
    start()
    _threads[0].join()
    return _outcomes[0] if _outcomes else None, _pods[0]
