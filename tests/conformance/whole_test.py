# SPDX-License-Identifier: GPL-2.0-or-later
"""The table is whole: every case once, each with a method that runs or a reason why it cannot."""

import importlib
import pathlib
import unittest

from tests.conformance import cases

NAMES = sorted(path.stem for path in pathlib.Path(__file__).parent.glob("*_test.py"))


def collected():
    """The IDs of the cases that unittest finds."""
    found = []
    for name in NAMES:
        suite = unittest.defaultTestLoader.loadTestsFromName(f"tests.conformance.{name}")
        for group in suite:
            found += [getattr(getattr(test, test._testMethodName), "case", None) for test in group]
    return sorted(identity for identity in found if identity)


class Whole(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        for name in NAMES:
            importlib.import_module(f"tests.conformance.{name}")

    def test_every_case_is_in_the_table_and_runs_or_says_why_not(self):
        self.assertEqual(sorted(cases.TABLE), list(cases.IDS))
        without = sorted(identity for identity, entry in cases.TABLE.items() if entry.verdict == "n/a")
        self.assertEqual(sorted(collected() + without), list(cases.IDS))
        for identity in without:
            print(cases.TABLE[identity].line(identity))

    def test_a_case_cannot_stand_in_the_table_twice_or_outside_of_it(self):
        for identity in ("A-001", "A-194", "A-1", "B-001"):
            with self.assertRaises(ValueError):
                cases.case(identity, "again")
        with self.assertRaises(ValueError):
            cases.not_applicable("A-001", "again")
        self.assertEqual(sorted(cases.TABLE), list(cases.IDS))
