# SPDX-License-Identifier: GPL-2.0-or-later
"""The programs are the same wherever they are built: an image's, whose sources lie in /src, too."""

import re
import unittest

from tests.deploy.chart import ROOT

PROGRAMS = ("sluice-cni", "sluice", "sluice-agent")
# Names of sources stand in messages and assertions: relative to their project.
ABSOLUTE_SOURCE = re.compile(rb"\0(/[\w.+/-]+\.(?:c|cc|cpp|h|hpp))\0")


class Programs(unittest.TestCase):
    def test_they_do_not_know_where_they_were_built(self):
        for name in PROGRAMS:
            with self.subTest(program=name):
                text = (ROOT / "out" / name).read_bytes()
                self.assertNotIn(str(ROOT).encode(), text)
                self.assertEqual([], ABSOLUTE_SOURCE.findall(text))

    def test_the_libraries_that_we_build_are_looked_at(self):
        self.assertIn(b"curl/lib/", (ROOT / "out" / "sluice-agent").read_bytes())


if __name__ == "__main__":
    unittest.main()
