# SPDX-License-Identifier: GPL-2.0-or-later
"""Builds the images of deploy/Dockerfile without a registry: a base by mmdebstrap, the rest by
buildah, in a storage of its own."""

import contextlib
import json
import os
import pathlib
import re
import shutil
import subprocess
import tempfile
import time

from tests.deploy.chart import ROOT

DOCKERFILE = ROOT / "deploy" / "Dockerfile"
KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
# What of apt's settings says how the archive is reached.
REACHING = re.compile(r"^Acquire::(Check-Valid-Until|Check-Date|Retries|https?::.*) ", re.MULTILINE)


def run(*argv, timeout=1200, **options):
    done = subprocess.run(argv, capture_output=True, text=True, timeout=timeout, check=False, **options)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(argv)}: rc {done.returncode}: {(done.stdout + done.stderr)[-4000:]}")
    return done.stdout


def build_packages():
    """Those that ./dev build would install, so that it finds them."""
    (found,) = re.findall(r"^build_packages=\((.*?)\)$", (ROOT / "dev").read_text(), re.MULTILINE | re.DOTALL)
    return found.split()


def archives():
    """The lines of a sources.list for the Debian archive that this machine uses."""
    found = run("apt-get", "indextargets", "--format", "$(REPO_URI) $(RELEASE) $(COMPONENT)",
                "Created-By: Packages", "Origin: Debian")
    lines = [
        f"deb [signed-by={KEYRING}] {line}"
        for line in dict.fromkeys(found.splitlines()) if re.search(r" bookworm(-updates|-security)? ", line)
    ]
    if not lines:
        raise RuntimeError("apt knows no archive of Debian 12: apt-get update")
    return lines


def make_base(tar, directory):
    """Debian 12 with the packages that the build needs, reached as from this machine."""
    settings = directory / "apt.conf"
    settings.write_text("".join(
        line + "\n" for line in run("apt-config", "dump", "Acquire").splitlines() if REACHING.match(line)))
    sources = directory / "sources.list"
    sources.write_text("".join(line + "\n" for line in archives()))
    run("mmdebstrap", "--mode=root", "--variant=minbase", "--quiet",
        f"--include=debian-archive-keyring,{','.join(build_packages())}", f"--aptopt={settings}",
        # As images of Debian have it: no manuals; licences stay, since ours go into the image.
        "--dpkgopt=path-exclude=/usr/share/doc/*", "--dpkgopt=path-include=/usr/share/doc/*/copyright",
        "--dpkgopt=path-exclude=/usr/share/man/*", "--dpkgopt=path-exclude=/usr/share/locale/*",
        f"--customize-hook=copy-in {settings} /etc/apt/apt.conf.d",
        "bookworm", str(tar), str(sources))


def remove(directory):
    """Never through something that is mounted in it."""
    mounted = [line.split()[4] for line in pathlib.Path("/proc/self/mountinfo").read_text().splitlines()]
    if any(point.startswith(f"{directory}/") for point in mounted):
        raise RuntimeError(f"something is mounted below {directory}")
    shutil.rmtree(directory)


class Storage:
    """Buildah's images and containers, in a directory that is thrown away."""

    def __init__(self):
        parent = ROOT / "build" / "deploy"
        parent.mkdir(parents=True, exist_ok=True)
        for left in parent.glob("image-*-*"):
            if not os.path.exists(f"/proc/{left.name.split('-')[1]}"):
                remove(left)
        self.path = pathlib.Path(tempfile.mkdtemp(prefix=f"image-{os.getpid()}-", dir=parent))
        self.took = {}

    def close(self):
        remove(self.path)

    def buildah(self, command, *argv, **options):
        # vfs and chroot: no overlay mount and no namespaces, so that it works in a container as well.
        return run("buildah", "--root", str(self.path / "root"), "--runroot", str(self.path / "run"),
                   "--storage-driver", "vfs", command, *argv, **options)

    @contextlib.contextmanager
    def timed(self, what):
        start = time.monotonic()
        yield
        self.took[what] = time.monotonic() - start

    def build(self, tag, dockerfile, context, *flags):
        self.buildah("bud", "--isolation", "chroot", "--pull-never", "--layers=false", "--timestamp=0",
                     "-f", str(dockerfile), "-t", f"localhost/{tag}", *flags, str(context))

    def build_from_tree(self, tag):
        """As a user does: everything, in a Debian that has nothing of this machine but its mirror."""
        with self.timed("base"):
            make_base(self.path / "base.tar", self.path)
        with self.timed("import of the base"):
            (self.path / "Containerfile").write_text("FROM scratch\nADD base.tar /\n")
            self.build("base", self.path / "Containerfile", self.path)
            (self.path / "base.tar").unlink()
        with self.timed("build"):
            self.build(tag, DOCKERFILE, ROOT, "--build-arg", "BASE=localhost/base")

    def build_from_stage(self, tag, stage, target):
        """The last stages alone, on a tree that deploy/stage has laid out here: vfs has no cheap way to
        use a build stage twice."""
        _, last = DOCKERFILE.read_text().split("\n\n# In place of", 1)
        (self.path / "Containerfile").write_text(
            f"FROM scratch AS build\nCOPY . /stage\n\n# In place of{last}")
        self.build(tag, self.path / "Containerfile", stage, "--target", target)

    @contextlib.contextmanager
    def mounted(self, image):
        """The file system of a container of the image: its path."""
        container = self.buildah("from", "--pull-never", f"localhost/{image}").strip()
        try:
            yield self.buildah("mount", container).strip(), container
        finally:
            self.buildah("umount", container)
            self.buildah("rm", container)

    def config(self, image):
        return json.loads(self.buildah("inspect", "--type", "image", f"localhost/{image}"))["OCIv1"]
