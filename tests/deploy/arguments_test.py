# SPDX-License-Identifier: GPL-2.0-or-later
"""Every flag that the chart passes is one that the agent has."""

import os
import re
import subprocess
import unittest

from tests.deploy.chart import MODES, ROOT, objects, pod_spec
from tests.deploy.chart_test import VARIANTS

AGENT = os.environ.get("SLUICE_AGENT", str(ROOT / "out" / "sluice-agent"))


def commands():
    """{subcommand: flags} of all that the chart can render."""
    found = {}
    for values in ({}, *VARIANTS.values(), *({"repair": {"mode": mode}} for mode in MODES), {"cniConfFile": "a.conf"}):
        spec = pod_spec(objects(values))
        container = (spec.get("initContainers") or spec["containers"])[0]
        subcommand, *flags = container["args"]
        found.setdefault(subcommand, set()).update(flag.split("=")[0] for flag in flags)
    return found


class Arguments(unittest.TestCase):
    def test_the_agent_has_them(self):
        found = commands()
        self.assertEqual({"run", "uninstall"}, set(found))
        for subcommand, flags in found.items():
            done = subprocess.run([AGENT, subcommand, "--help"], capture_output=True, text=True, check=False)
            self.assertEqual(0, done.returncode, done.stderr)
            known = set(re.findall(r"--[a-z][a-z-]*", done.stdout))
            self.assertEqual(set(), flags - known, subcommand)


if __name__ == "__main__":
    unittest.main()
