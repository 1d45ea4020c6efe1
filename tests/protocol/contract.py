# SPDX-License-Identifier: GPL-2.0-or-later
"""What holds for every call of a CNI plugin, as assertions."""

import contextlib
import json
import os
import unittest

from tests.protocol import runtime
from tests.protocol.expected import DEFAULT
from tests.protocol.netconf import VERSIONS

KNOWN_CODES = {1, 2, 3, 4, 5, 6, 7, 11, 50, 51} | set(range(100, 110))


class PluginCase(unittest.TestCase):
    maxDiff = None

    @classmethod
    def setUpClass(cls):
        # Without these the tests could only pass or skip for the wrong reason, so they fail.
        if not os.access(runtime.PLUGIN, os.X_OK):
            raise AssertionError(f"no plugin at {runtime.PLUGIN}: build it or set SLUICE_CNI")
        if os.geteuid() != 0:
            raise AssertionError("these tests make network namespaces: run them as root")

    def pod(self, **kind):
        made = runtime.Pod(**kind)
        self.addCleanup(made.delete)
        return made

    def assert_one_document(self, outcome):
        """stdout is one JSON object and nothing else; returns it."""
        try:
            text = outcome.stdout.decode()
            document, end = json.JSONDecoder().raw_decode(text)
        except ValueError as problem:
            self.fail(f"stdout is not JSON ({problem}): {outcome}")
        self.assertEqual(text[end:].strip(), "", "more than one document on stdout")
        self.assertIsInstance(document, dict)
        return document

    def assert_error(self, outcome, code, *needles, version=None):
        """One error object with the code (or one of a set); every needle is in what the runtime shows."""
        self.assertEqual(outcome.rc, 1, outcome)
        error = self.assert_one_document(outcome)
        self.assertLessEqual(set(error), {"cniVersion", "code", "msg", "details"}, error)
        self.assertIs(type(error.get("code")), int, error)
        self.assertIn(error["code"], KNOWN_CODES, error)
        self.assertIn(error["code"], code if isinstance(code, (set, tuple)) else {code}, error)
        self.assert_short_line(error.get("msg"))
        self.assertIsInstance(error.get("details", ""), str)
        self.assertIn(error.get("cniVersion"), [version] if version else VERSIONS)
        shown = f"{error['msg']}; {error.get('details', '')}"
        for needle in needles:
            self.assertIn(needle, shown)
        return error

    def assert_short_line(self, msg):
        """The text becomes a Kubernetes event."""
        self.assertIsInstance(msg, str)
        self.assertTrue(msg.strip(), "empty msg")
        self.assertNotIn("\n", msg)
        self.assertLess(len(msg.encode()), 1024)

    def assert_success_silent(self, outcome):
        self.assertEqual((outcome.rc, outcome.stdout), (0, b""), outcome)

    def assert_result(self, outcome, expected):
        self.assertEqual(outcome.rc, 0, outcome)
        self.assertEqual(self.assert_one_document(outcome), expected)

    def assert_passed(self, outcome, document):
        """ADD of a container that is left alone: the result is the previous plugin's."""
        self.assert_result(outcome, document["prevResult"])

    @contextlib.contextmanager
    def unchanged(self, pod):
        before = pod.snapshot()
        yield
        self.assertEqual(pod.snapshot(), before)

    def assert_redirected(self, pod, wanted=DEFAULT, families=(4,)):
        """The nat tables hold the wanted rules in these families and none of ours in the others."""
        for family in (4, 6):
            rules = wanted.chains(family) if family in families else {}
            self.assertEqual(pod.nat(family), rules, f"IPv{family}")
        # The sidecar reaches the application from ::6, so only with inbound IPv6 is it wanted.
        self.assertEqual("::6/128" in pod.loopback_addresses(), 6 in families and bool(wanted.inbound))

    def assert_not_redirected(self, pod):
        self.assertEqual((pod.nat(4), pod.nat(6)), ({}, {}))
        self.assertNotIn("::6/128", pod.loopback_addresses())
