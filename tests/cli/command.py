# SPDX-License-Identifier: GPL-2.0-or-later
"""Runs `sluice` as a user does."""

import contextlib
import dataclasses
import os
import shutil
import subprocess
import tempfile
import unittest
from typing import Optional

from tests.e2e.cni import cli_path


@dataclasses.dataclass
class Result:
    rc: int
    out: str
    err: str


def sluice(*arguments: str, text: str = "", env: Optional[dict] = None, **options) -> Result:
    with contextlib.ExitStack() as stack:
        program = cli_path()
        if "user" in options:  # whom the folder of this clone may keep out
            folder = stack.enter_context(tempfile.TemporaryDirectory())
            os.chmod(folder, 0o755)
            program = shutil.copy(program, folder)
        done = subprocess.run([program, *arguments], input=text, capture_output=True, text=True,
                              env=env or {}, timeout=20, check=False, **options)
    return Result(done.returncode, done.stdout, done.stderr)


class CommandCase(unittest.TestCase):
    def prints(self, *arguments: str, **options) -> str:
        result = sluice(*arguments, **options)
        self.assertEqual((result.rc, result.err), (0, ""), result)
        return result.out

    def refuses(self, *arguments: str, says: str, **options) -> None:
        """One specific line on stderr, nothing on stdout, no help."""
        result = sluice(*arguments, **options)
        self.assertEqual((result.rc, result.out), (1, ""), result)
        self.assertEqual(result.err.count("\n"), 1, result)
        self.assertIn(says, result.err)
        self.assertLess(len(result.err), 1024)
