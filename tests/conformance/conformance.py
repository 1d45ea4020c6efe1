# SPDX-License-Identifier: GPL-2.0-or-later
"""What is expected of every call, whatever a case is about.

The exit status is 0 or 1; stdout holds one JSON document or, where the verb has nothing to say, nothing;
no sanitizer reports; a call that fails and one that only reads leave the pod as it was; none takes long;
and after each case the node's namespace, its folders of state and the working directory are as before.
"""

import collections
import contextlib
import os
import pathlib
import tempfile
import time

from tests.conformance import cases, unending
from tests.e2e.cni import BACKEND
from tests.e2e.namespace import Namespace
from tests.protocol import runtime
from tests.protocol.contract import KNOWN_CODES
from tests.protocol.netconf import conf, mesh_conf
from tests.protocol.runtime import without_counters
from tests.protocol.trace_test import Traced

SECONDS = 5
RULES = "iptables-legacy-save; ip6tables-legacy-save; nft -s list ruleset; ip rule; ip -6 rule"
STATE = f"{RULES}; ip -o addr; ip route show table all; ip -6 route show table all"
# Where plugins with a state keep it.
FOLDERS = ("/var/lib/cni", "/run/cni", "/var/lib/sluice", "/run/sluice", "/var/lib/sluice-cni", "/run/sluice-cni")
NODE_RULES = "*nat\n:THEIRS - [0:0]\n-A OUTPUT -d 192.0.2.1/32 -j THEIRS\n-A THEIRS -j RETURN\nCOMMIT\n"
SANITIZED = b"__asan_init" in pathlib.Path(runtime.PLUGIN).read_bytes() if os.path.exists(runtime.PLUGIN) else False
# A sanitized program takes its time, and so much of it to start that fewer calls must do.
SLOWER = 6 if SANITIZED else 1
SPARSER = 8 if SANITIZED else 1
MEBI = 1 << 20


class Node:
    """A namespace in the place of the host's: should a guard fail, the real one is spared."""

    _made = None

    def __init__(self):
        self.pod = runtime.Pod(bare=True)
        self.pod.add_interface("uplink0")
        self.pod.inside("iptables-legacy-restore", text=NODE_RULES)
        self.namespace = Namespace(self.pod.path)
        self.state = state(self.pod)

    @classmethod
    def get(cls):
        cls._made = cls._made or cls()
        return cls._made


def state(pod, script=STATE):
    """All that a plugin could change in a namespace, in words."""
    return without_counters(pod.inside("sh", "-c", script))


def folders():
    """All that is in the folders of state, and when each was written."""
    found = []
    for top in FOLDERS:
        for path, _, names in os.walk(top):
            found += [(f"{path}/{name}", os.lstat(f"{path}/{name}").st_mtime_ns) for name in names]
            found.append((path, os.stat(path).st_mtime_ns))
    return sorted(found)


def sanitizer_options(wrap):
    """An exit status that the plugin never has. Looking for leaks takes ptrace(2), /proc and privileges, one of
    which is what a wrapper takes away."""
    leaks = 0 if wrap else 1
    return {"ASAN_OPTIONS": f"exitcode=99:detect_leaks={leaks}"} if SANITIZED else {}


def with_backend(keys):
    return {**({"backend": BACKEND} if BACKEND else {}), **keys}


def ours(pod, annotations=None, version="1.0.0", **keys):
    """The configuration for an injected pod."""
    return mesh_conf(pod, annotations, version=version, **with_backend(keys))


def plain(version="1.0.0", **keys):
    """The configuration for a pod that is not injected; it has no namespace."""
    return conf(version, **with_backend(keys))


class ConformanceCase(Traced):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        unending.start()

    def run(self, result=None):
        result = self.defaultTestResult() if result is None else result
        before = len(result.failures) + len(result.errors)
        super().run(result)
        identity = getattr(getattr(self, self._testMethodName), "case", None)
        if identity:
            cases.judge(identity, len(result.failures) + len(result.errors) > before)
        return result

    def setUp(self):
        super().setUp()
        self.node = Node.get()
        self.known = {}
        self.batched = False
        self.folders_before = folders()
        directory = tempfile.TemporaryDirectory(prefix="sluice-conformance-")
        self.addCleanup(directory.cleanup)
        self.directory = pathlib.Path(directory.name)
        (self.directory / "work").mkdir()

    def tearDown(self):
        self.assertEqual(state(self.node.pod), self.node.state, "the node's namespace was changed")
        self.assertEqual(folders(), self.folders_before, "a folder of state was changed")
        self.assertEqual(list((self.directory / "work").iterdir()), [], "a file was made")

    # ---- pods

    def pod(self, **kind):
        pod = super().pod(**kind)
        self.look(pod)
        return pod

    def look(self, pod):
        """From here on the pod as it is now is the pod as it should be."""
        self.known[pod] = state(pod)

    def by_hand(self, pod, *argv, text=None):
        """Another program changes the pod."""
        pod.inside(*argv, text=text)
        self.look(pod)

    def add_interface(self, pod, name):
        pod.add_interface(name)
        self.look(pod)

    def ip(self, pod, *lines):
        pod.ip(*lines)
        self.look(pod)

    def same(self, pod):
        self.assertEqual(state(pod), self.known[pod], "the pod was changed")

    @contextlib.contextmanager
    def many(self, *pods):
        """A great many calls, without a look at the pod after each; these pods must be the same at the end."""
        self.batched = True
        try:
            yield
        finally:
            self.batched = False
        for pod in pods:
            self.same(pod)

    def assert_redirected(self, pod, *_, **__):
        self.assertRegex(state(pod, RULES), "ISTIO_OUTPUT|table inet sluice")

    def assert_not_redirected(self, pod, *_, **__):
        self.assertNotRegex(state(pod), "ISTIO_|sluice|::6/128|fwmark")

    def assert_as(self, pod, **keys):
        """The rules in the pod are those that one ADD with this configuration writes into a fresh one."""
        fresh = self.pod()
        self.add(fresh, ours(fresh, **keys))
        self.assertEqual(state(pod, RULES), state(fresh, RULES))

    # ---- calls

    def call(self, command, stdin=None, pod=None, *, seconds=SECONDS, rc=(0, 1), **how):
        """One call from within the node's namespace. seconds: what it may take."""
        how.setdefault("cwd", self.directory / "work")
        how["env"] = {**sanitizer_options(how.get("wrap", ())), **(how.get("env") or {})}
        seconds *= SLOWER
        with self.node.namespace.entered():
            outcome = runtime.run(command, stdin, pod, timeout=seconds + 5, **how)
        self.assertIn(outcome.rc, rc, outcome)
        self.assertLess(outcome.seconds, seconds, outcome)
        if outcome.rc >= 0:
            self.judge(how["env"].get("CNI_COMMAND", command), outcome, "stdout" in how)
        if pod in self.known and not self.batched:
            if outcome.rc == 0 and command in ("ADD", "DEL"):
                self.look(pod)
            elif outcome.rc >= 0:
                self.same(pod)
        return outcome

    def judge(self, command, outcome, elsewhere=False):
        """What holds for every outcome; elsewhere: its stdout went where it is not seen."""
        self.assertNotRegex(outcome.stderr, "Sanitizer|runtime error:")
        self.assertLess(len(outcome.stderr), 64 * 1024)
        if elsewhere:
            return
        if outcome.rc == 1:
            self.assert_error(outcome, KNOWN_CODES)
        elif command in ("ADD", "VERSION"):
            self.assertIn("cniVersion", self.assert_one_document(outcome))
        else:
            self.assertEqual(outcome.stdout, b"", outcome)

    def refused(self, command, stdin, code, *needles, pod=None, **how):
        return self.assert_error(self.call(command, stdin, pod, **how), code, *needles)

    def silent(self, command, stdin, pod=None, **how):
        outcome = self.call(command, stdin, pod, **how)
        self.assert_success_silent(outcome)
        return outcome

    def passes(self, document, pod=None, **how):
        """ADD that prints what the plugin before it printed."""
        outcome = self.call("ADD", how.pop("stdin", document), pod, **how)
        self.assert_passed(outcome, document)
        return outcome

    def add(self, pod, document=None, **how):
        """ADD of a pod that is then redirected."""
        outcome = self.passes(ours(pod) if document is None else document, pod, **how)
        self.assert_redirected(pod)
        return outcome

    def delete(self, pod, document=None, **how):
        outcome = self.silent("DEL", ours(pod) if document is None else document, pod, **how)
        self.assert_not_redirected(pod)
        return outcome

    def clean(self, outcome, pod):
        """Either all was done, or an error of ours says why not and nothing was."""
        if outcome.rc == 0:
            self.assert_redirected(pod)
        else:
            self.assert_error(outcome, {4, 5, 7, 11, *range(100, 110)})
            self.assert_not_redirected(pod)

    def places(self, command, document, pod):
        """The system calls of a call that succeeds, from reading stdin on: (name, which of that name in a process).

        In order, and each once: it is the first process to come there that something happens to.
        """
        self.assertEqual(self.call(command, document, pod, wrap=self.strace()).rc, 0)
        counts, found, reading = collections.Counter(), {}, False
        for line in self.log.read_text().splitlines():
            process, call = line.split(maxsplit=1)
            reading = reading or call.startswith("read(0,")
            name = call.split("(")[0]
            counts[process, name] += 1
            if reading and name.isidentifier():
                found[name, counts[process, name]] = None
        self.assertGreater(len(found), 10)
        return list(found)

    def at(self, place, what):
        """How to run the plugin so that this happens at that system call: "signal=SIGKILL", "error=EMFILE"."""
        name, number = place
        return self.strace("-e", f"trace={name}", "-e", f"inject={name}:{what}:when={number}")

    def release_only(self, why="a sanitizer's shadow memory does not fit under the limit"):
        """What follows in the case holds for the shipped program alone."""
        if SANITIZED:
            raise cases.NotHere(why)


def wait_for(condition, seconds=10):
    """Whether it becomes true in time."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.005)
    return True
