# SPDX-License-Identifier: GPL-2.0-or-later
"""Which programs are tested: what is shipped, or a build with sanitizers in $SLUICE_BUILD."""

import os
import pathlib

ROOT = pathlib.Path(__file__).resolve().parents[2]
_given = os.environ.get("SLUICE_BUILD")
# Starts and works about ten times slower, and its memory is mostly its own.
SANITIZED = _given is not None
BUILD = ROOT / (_given or "build/dev")
AGENT = str(BUILD / "cmd" / "sluice-agent" if SANITIZED else ROOT / "out" / "sluice-agent")
COMMAND_LINE = str(BUILD / "cmd" / "sluice" if SANITIZED else ROOT / "out" / "sluice")
# The plugin is always the shipped one: it has no threads, and its own suites for the rest.
PLUGIN = str(ROOT / "out" / "sluice-cni")


def driver(name):
    """A program that only the tests have."""
    return str(BUILD / "tests" / name)
