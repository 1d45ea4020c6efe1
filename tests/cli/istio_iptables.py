# SPDX-License-Identifier: GPL-2.0-or-later
"""Runs `sluice istio-iptables` as a container of a pod does: in its namespace, with its files."""

import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Optional, Sequence

from tests.cli.command import CommandCase, Result
from tests.e2e.cni import cli_path
from tests.e2e.pod import V4, Pod

SECONDS = 60
SIDECAR = ("setpriv", "--reuid=1337", "--regid=1337", "--clear-groups")
# What the injector gives istio-init.
INIT_CONTAINER = ("setpriv", "--bounding-set=-all,+net_admin,+net_raw")


def program(name: str) -> str:
    return shutil.which(name) or name


def run_in(pod: Pod, *arguments: str, env: Optional[dict] = None, become: Sequence[str] = (),
           etc: Optional[dict] = None, command: Sequence[str] = ()) -> Result:
    """`etc`: the only files of /etc, by name; `become`: words before the command."""
    words = [*become, *(command or (cli_path(), "istio-iptables")), *arguments]
    with tempfile.TemporaryDirectory() as directory:
        if etc is not None:
            for name, text in etc.items():
                Path(directory, name).write_text(text, encoding="utf-8")
            words = ["unshare", "-m", "sh", "-c", f'mount --bind {directory} /etc && exec "$@"', "sh", *words]
        done = subprocess.run([program("nsenter"), f"--net={pod.netns}", *words],
                              capture_output=True, text=True, timeout=SECONDS, check=False,
                              env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", **(env or {})})
    return Result(done.returncode, done.stdout, done.stderr)


def tool(pod: Pod, *words: str) -> str:
    """What a program prints in the pod's namespace; it has to succeed."""
    result = run_in(pod, command=words)
    if result.rc != 0:
        raise RuntimeError(f"{words}: {result}")
    return result.out


class IstioCase(CommandCase):
    """One pod without processes for all tests of a class, which write nothing into it."""

    @classmethod
    def setUpClass(cls):
        cls.pod = cls.enterClassContext(Pod([V4]))

    def planned(self, *arguments: str, **options) -> str:
        result = run_in(self.pod, "--dry-run", *arguments, **options)
        self.assertEqual((result.rc, result.err), (0, ""), result)
        return result.out

    def refused(self, *arguments: str, says: Sequence[str], **options) -> None:
        """One line that names what is wrong, nothing on stdout."""
        result = run_in(self.pod, *arguments, **options)
        self.assertEqual((result.rc, result.out), (1, ""), result)
        self.assertEqual(result.err.count("\n"), 1, result)
        self.assertLess(len(result.err), 1024)
        for text in says:
            self.assertIn(text, result.err)
