# SPDX-License-Identifier: GPL-2.0-or-later
"""The table of cases: each ID once, with a sentence and, as soon as it has run, a verdict."""

import functools
import sys
from dataclasses import dataclass

COUNT = 193
IDS = tuple(f"A-{number:03}" for number in range(1, COUNT + 1))
TABLE = {}


class NotHere(Exception):
    """Raised by a case that holds for another build of the plugin; says why."""


@dataclass
class Case:
    sentence: str
    verdict: str = ""  # "ok", "FAILED", "n/a", "not here"; nothing before its turn
    why: str = ""

    def line(self, identity):
        return f"{identity} {self.verdict}: {self.why or self.sentence}"


def _enter(identity, entry):
    if identity not in IDS:
        raise ValueError(f"{identity} is no case")
    if identity in TABLE:
        raise ValueError(f"{identity} stands twice in the table")
    TABLE[identity] = entry
    return entry


def case(identity, sentence):
    """Makes a test method a case. Its name has the ID in it, so no other method can hide it."""
    entry = _enter(identity, Case(sentence))

    def decorate(method):
        if not method.__name__.startswith(f"test_{identity.lower().replace('-', '_')}"):
            raise ValueError(f"{method.__name__} is not named after {identity}")

        @functools.wraps(method)
        def judged(self):
            try:
                method(self)
            except NotHere as reason:
                entry.verdict, entry.why = "not here", str(reason)

        judged.case = identity
        return judged

    return decorate


def not_applicable(identity, why):
    """Enters a case that this plugin cannot meet, and why."""
    _enter(identity, Case("", "n/a", why))


def judge(identity, failed):
    """Sets the verdict of a case that has run and prints its line."""
    entry = TABLE[identity]
    if failed:
        entry.verdict, entry.why = "FAILED", ""
    else:
        entry.verdict = entry.verdict or "ok"
    print(entry.line(identity), file=sys.stderr, flush=True)
