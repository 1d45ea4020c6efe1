# SPDX-License-Identifier: GPL-2.0-or-later
"""Several callers in one namespace: they take turns, and no lock of a stranger stops them."""

import contextlib
import json
import subprocess

from tests.protocol.contract import PluginCase
from tests.protocol.netconf import V6, mesh_conf
from tests.protocol.runtime import PLUGIN, environment, run

NOBODY = 65534
HOLDER = (
    "import fcntl, sys, time\n"
    "with open(sys.argv[1]) as namespace:\n"
    "    fcntl.flock(namespace, fcntl.LOCK_EX)\n"
    "    print('held', flush=True)\n"
    "    time.sleep(20)\n"
)


@contextlib.contextmanager
def locked(pod):
    """A process without any privilege holds the lock on the namespace's file: anybody can, it is readable."""
    holder = subprocess.Popen(
        ["/usr/bin/python3", "-c", HOLDER, pod.path],
        stdout=subprocess.PIPE, user=NOBODY, group=NOBODY, extra_groups=[], cwd="/",
    )  # fmt: skip
    try:
        if holder.stdout.readline() != b"held\n":
            raise RuntimeError("the lock could not be taken")
        yield
    finally:
        holder.kill()
        holder.wait(5)
        holder.stdout.close()


class Lock(PluginCase):
    def assert_delayed(self, outcome):
        self.assertGreaterEqual(outcome.seconds, 0.5)
        self.assertLessEqual(outcome.seconds, 3)  # half a second, and what a busy machine adds
        self.assertIn("lock", outcome.stderr)

    def test_a_strangers_lock_delays_add_but_does_not_stop_it(self):
        pod = self.pod()
        document = mesh_conf(pod)
        with locked(pod):
            outcome = run("ADD", document, pod)
        self.assert_passed(outcome, document)
        self.assert_redirected(pod)
        self.assert_delayed(outcome)

    def test_nor_del(self):
        pod = self.pod()
        run("ADD", mesh_conf(pod), pod)
        with locked(pod):
            outcome = run("DEL", mesh_conf(pod), pod)
        self.assert_success_silent(outcome)
        self.assert_not_redirected(pod)
        self.assertLessEqual(outcome.seconds, 3)  # half a second, and what a busy machine adds

    def test_without_a_stranger_nothing_waits(self):
        pod = self.pod()
        outcome = run("ADD", mesh_conf(pod), pod)
        self.assertLess(outcome.seconds, 0.4)
        self.assertNotIn("lock", outcome.stderr)


def start(command, document, pod):
    """A call that goes on while the test does something else."""
    child = subprocess.Popen(
        [PLUGIN], env=environment(command, pod),
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    child.stdin.write(json.dumps(document).encode())
    child.stdin.close()
    child.stdin = None
    return child


def finish(children):
    """The results of calls, all of which are ended when one takes too long."""
    try:
        outputs = [child.communicate(timeout=20) for child in children]
        return [(child.returncode, *output) for child, output in zip(children, outputs)]
    finally:
        for child in children:
            child.kill()
            child.wait(5)


class Parallel(PluginCase):
    def test_equal_adds_at_once_end_as_one(self):
        pod = self.pod()
        document = mesh_conf(pod, addresses=(V6,))
        for rc, out, err in finish([start("ADD", document, pod) for _ in range(8)]):
            self.assertEqual(rc, 0, (out, err))
        self.assert_redirected(pod, families=(4, 6))

    def test_add_and_del_at_once_end_as_one_of_them(self):
        for _ in range(5):
            pod = self.pod()
            document = mesh_conf(pod, addresses=(V6,))
            children = [start(command, document, pod) for command in ("ADD", "DEL", "ADD", "DEL")]
            for rc, out, err in finish(children):
                self.assertEqual(rc, 0, (out, err))
            families = (4, 6) if pod.nat() else ()
            self.assert_redirected(pod, families=families)

    def test_many_pods_at_once(self):
        pods = [self.pod() for _ in range(10)]
        for rc, out, err in finish([start("ADD", mesh_conf(pod), pod) for pod in pods]):
            self.assertEqual(rc, 0, (out, err))
        for pod in pods:
            self.assert_redirected(pod)
