# SPDX-License-Identifier: GPL-2.0-or-later
"""Calls that go on while a case does something else to the pod."""

import contextlib
import json
import subprocess
import threading
import time

from tests.conformance.conformance import ConformanceCase, ours, sanitizer_options, wait_for
from tests.protocol import runtime

# The delay must outlast what another process does to the namespace meanwhile.
DELAY = "delay_enter=700000"


class MeanwhileCase(ConformanceCase):
    def start(self, document, pod, wrap=()):
        """An ADD in a session of its own."""
        with self.node.namespace.entered():
            child = subprocess.Popen([*wrap, runtime.PLUGIN], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                     stderr=subprocess.PIPE, start_new_session=True,
                                     env=runtime.environment("ADD", pod, **sanitizer_options(wrap)))  # fmt: skip
        self.addCleanup(child.communicate)
        self.addCleanup(child.kill)
        child.stdin.write(json.dumps(document).encode())
        child.stdin.close()
        child.stdin = None
        return child

    def asking(self, pod, agent, **keys):
        """An ADD that waits for an agent which does not answer."""
        asked = len(agent.questions())
        child = self.start(ours(pod, agentSocket=agent.path, **{"agentTimeoutMs": 9000, **keys}), pod)
        self.assertTrue(wait_for(lambda: len(agent.questions()) > asked), "nobody was asked")
        return child

    def ended(self, child):
        """Its outcome, once its streams are at their end."""
        start = time.monotonic()
        out, err = child.communicate(timeout=20)
        return runtime.Outcome(child.returncode, out, err.decode(), time.monotonic() - start)

    @contextlib.contextmanager
    def meanwhile(self, call, path, action):
        """Runs `action` while a traced plugin, which has opened `path`, waits before its first such call."""
        def act():
            if wait_for(lambda: self.log.exists() and path in self.log.read_text()):
                action()
                acted.append(True)

        acted, actor = [], threading.Thread(target=act)
        actor.start()
        yield self.strace("-e", f"trace=openat,{call}", "-e", f"inject={call}:{DELAY}:when=1")
        actor.join()
        self.assertEqual(acted, [True], "nothing happened meanwhile")
        self.log.unlink()
