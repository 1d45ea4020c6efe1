# SPDX-License-Identifier: GPL-2.0-or-later
"""The images, built from the tree by the Dockerfile, as a node would get them. Root; some minutes."""

import hashlib
import json
import os
import pathlib
import shutil
import stat
import subprocess
import unittest
import urllib.error
import urllib.request

from tests.agent.agent import PRIMARY, free_port, wait_until
from tests.agent.api_server import ApiServer
from tests.deploy.chart import ROOT
from tests.deploy.image import Storage, run

# Bytes on the node. The agent's libraries are the most of it.
LIMITS = {"agent": 40 << 20, "istio-iptables": 4 << 20}
# The agent's; the last two are there in any case.
PROGRAMS = {"usr/local/bin/sluice-agent", "usr/local/bin/sluice", "opt/sluice/sluice-cni"}
storage = None


def setUpModule():
    global storage
    storage = Storage()
    unittest.addModuleCleanup(storage.close)
    storage.build_from_tree("agent")
    print("seconds:", ", ".join(f"{what} {took:.0f}" for what, took in storage.took.items()))


def entries(root):
    """{path without the root: lstat} of everything in it."""
    root = pathlib.Path(root)
    return {str(path.relative_to(root)): path.lstat() for path in sorted(root.rglob("*"))}


def content(root):
    """What a layer has of each file: kind and mode, owner, time, and the bytes or the link."""
    found = {}
    for name, status in entries(root).items():
        path = pathlib.Path(root, name)
        data = os.readlink(path) if path.is_symlink() else ""
        if path.is_file() and not path.is_symlink():
            data = hashlib.sha256(path.read_bytes()).hexdigest()
        found[name] = (status.st_mode, status.st_uid, status.st_gid, status.st_mtime_ns, data)
    return found


def size(root):
    return sum(status.st_size for status in entries(root).values() if stat.S_ISREG(status.st_mode))


def chroot(root, *argv, **options):
    """Not by buildah, which hides the exit status and mounts more than a scratch image has."""
    command = ["/usr/sbin/chroot", root, *argv]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, **options)


def is_ready(port):
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=10) as answer:
            return answer.status == 200
    except (urllib.error.URLError, OSError):
        return False


class Agent(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.root = cls.enterClassContext(storage.mounted("agent"))[0]

    def test_nothing_is_in_it_but_programs_libraries_and_licences(self):
        for name, status in entries(self.root).items():
            if stat.S_ISDIR(status.st_mode):
                continue
            with self.subTest(name=name):
                self.assertTrue(stat.S_ISREG(status.st_mode))
                licence = name.startswith("usr/share/doc/") and name.endswith(("/copyright", "/LICENSE"))
                library = name.startswith(("lib/", "lib64/", "usr/lib/")) and ".so" in name
                self.assertTrue(name in PROGRAMS or library or licence)
        self.assertLessEqual(PROGRAMS, set(entries(self.root)))
        self.assertIn("usr/share/doc/libc6/copyright", entries(self.root))

    def test_nobody_but_root_can_change_it_and_nobody_becomes_root_by_it(self):
        for name, status in entries(self.root).items():
            with self.subTest(name=name):
                self.assertEqual(0, status.st_mode & (stat.S_ISUID | stat.S_ISGID | 0o022))
                self.assertEqual((0, 0), (status.st_uid, status.st_gid))
                self.assertNotIn("security.capability", os.listxattr(pathlib.Path(self.root, name)))

    def test_no_shell_and_no_package_manager(self):
        for program in ("sh", "bash", "dash", "busybox", "apt", "apt-get", "dpkg", "ld", "perl", "python3"):
            for directory in ("bin", "sbin", "usr/bin", "usr/sbin", "usr/local/bin"):
                self.assertFalse(pathlib.Path(self.root, directory, program).exists())

    def test_it_is_small(self):
        print(f"agent: {size(self.root)} bytes in {len(entries(self.root))} files and directories")
        self.assertLess(size(self.root), LIMITS["agent"])

    def test_the_programs_find_their_libraries(self):
        for program, name in (("sluice-agent", "sluice-agent"), ("sluice", "sluice")):
            done = chroot(self.root, f"/usr/local/bin/{program}", "--version")
            self.assertEqual((0, f"{name} 0.1.0\n", ""), (done.returncode, done.stdout, done.stderr))

    def test_the_plugin_answers(self):
        done = chroot(
            self.root, "/opt/sluice/sluice-cni", input='{"cniVersion":"1.0.0"}', env={"CNI_COMMAND": "VERSION"})
        self.assertEqual(0, done.returncode, done.stderr)
        self.assertIn('"1.0.0"', done.stdout)

    def test_the_agent_runs_from_it(self):
        # The one device that it needs, which every runtime provides; to be written into only.
        device = pathlib.Path(self.root, "dev")
        device.mkdir()
        self.addCleanup(shutil.rmtree, device)
        (device / "null").touch()
        host = pathlib.Path(self.root, "host")
        for directory in ("opt/cni/bin", "etc/cni/net.d", "run"):
            (host / directory).mkdir(parents=True)
        self.addCleanup(shutil.rmtree, host)
        conflist = host / "etc/cni/net.d/10-podnet.conflist"
        conflist.write_text(json.dumps(PRIMARY))
        port = free_port()
        with ApiServer() as api:
            shutil.copy(api.token_file, host / "token")
            shutil.copy(api.ca_file, host / "ca.crt")
            command = [
                "/usr/sbin/chroot", self.root, "/usr/local/bin/sluice-agent", "run", "--node", "node-1",
                "--repair", "off", "--http-port", str(port), "--socket", "/host/run/agent.sock",
                "--api-server", api.url, "--token-file", "/host/token", "--ca-file", "/host/ca.crt",
            ]
            file = storage.path / "agent.log"
            with file.open("w") as stdout, subprocess.Popen(command, stdout=stdout) as agent:
                try:
                    # It answers before it says so in its log.
                    wait_until(lambda: "agent: ready" in file.read_text() or agent.poll() is not None,
                               "the agent is ready")
                    self.assertTrue(is_ready(port), file.read_text())
                finally:
                    agent.terminate()
                    agent.wait(60)
            log = file.read_text()
            self.assertEqual(0, agent.returncode, log)
        types = [plugin["type"] for plugin in json.loads(conflist.read_text())["plugins"]]
        self.assertEqual(["ptp", "sluice-cni"], types, log)
        self.assertTrue(os.access(host / "opt/cni/bin/sluice-cni", os.X_OK))

    def test_the_agent_refuses_what_it_does_not_know(self):
        done = chroot(self.root, "/usr/local/bin/sluice-agent", "no-such-command")
        self.assertEqual(1, done.returncode)
        self.assertIn("sluice-agent: ", done.stderr)

    def test_it_starts_the_agent(self):
        config = storage.config("agent")["config"]
        self.assertEqual(["/usr/local/bin/sluice-agent"], config["Entrypoint"])
        self.assertNotIn("Cmd", config)


class Stage(unittest.TestCase):
    """The programs of ./dev build, laid out by deploy/stage, and the stages that copy them."""

    def stage(self, name, epoch="0", umask=0o022):
        root = storage.path / name
        run(str(ROOT / "deploy" / "stage"), str(ROOT / "out"), str(root),
            env={**os.environ, "SOURCE_DATE_EPOCH": epoch}, umask=umask)
        return root

    def test_the_layout_depends_on_its_inputs_alone(self):
        first = content(self.stage("first"))
        self.assertIn("agent/usr/local/bin/sluice-agent", first)
        self.assertEqual(first, content(self.stage("second", umask=0o077)))
        self.assertEqual({0}, {each[3] for each in first.values()})
        other = content(self.stage("third", epoch="1700000000"))
        self.assertEqual({1700000000 * 10**9}, {each[3] for each in other.values()})

    def test_the_same_layout_is_the_same_layer(self):
        layers = []
        for name in ("one", "two"):
            storage.build_from_stage(name, self.stage(name), "agent")
            layers.append(storage.config(name)["rootfs"]["diff_ids"])
        self.assertEqual(layers[0], layers[1])
        with storage.mounted("one") as (root, _):
            self.assertEqual(content(storage.path / "one" / "agent"), content(root))

    def test_istio_iptables_is_one_program_under_istios_name(self):
        storage.build_from_stage("istio-iptables", self.stage("istio"), "istio-iptables")
        with storage.mounted("istio-iptables") as (root, container):
            files = {name for name, status in entries(root).items() if stat.S_ISREG(status.st_mode)}
            self.assertEqual({"usr/local/bin/pilot-agent", "usr/share/doc/sluice/LICENSE"}, files)
            self.assertLess(size(root), LIMITS["istio-iptables"])
            # It looks for its own network namespace in /proc.
            rules = storage.buildah(
                "run", "--isolation", "chroot", container, "--", "/usr/local/bin/pilot-agent", "istio-iptables",
                "--dry-run", "-p", "15001", "-z", "15006", "-u", "1337", "-i", "*", "-b", "*")
            self.assertIn("--to-ports 15001", rules)
        self.assertEqual(
            ["/usr/local/bin/pilot-agent"], storage.config("istio-iptables")["config"]["Entrypoint"])

    def test_a_program_that_is_not_there_is_an_error(self):
        (storage.path / "none").mkdir()
        with self.assertRaisesRegex(RuntimeError, "none/sluice-agent"):
            run(str(ROOT / "deploy" / "stage"), str(storage.path / "none"), str(storage.path / "never"))

    def test_a_library_that_is_not_there_is_an_error(self):
        tools = storage.path / "tools"
        tools.mkdir()
        (tools / "ldd").write_text("#!/bin/sh\necho 'libgone.so.1 => not found'\n")
        (tools / "ldd").chmod(0o755)
        with self.assertRaisesRegex(RuntimeError, "libgone.so.1 => not found"):
            run(str(ROOT / "deploy" / "stage"), str(ROOT / "out"), str(storage.path / "never"),
                env={**os.environ, "PATH": f"{tools}:{os.environ['PATH']}"})

    def test_the_context_has_nothing_but_inputs(self):
        file = storage.path / "everything"
        file.write_text("FROM scratch\nCOPY . /\n")
        storage.build("context", file, ROOT)
        with storage.mounted("context") as (root, _):
            self.assertEqual(
                {"CMakeLists.txt", "CMakePresets.json", "LICENSE", "agent", "cmd", "cni", "deploy", "dev", "rules"},
                set(os.listdir(root)))
            self.assertEqual(["stage"], os.listdir(pathlib.Path(root, "deploy")))


if __name__ == "__main__":
    unittest.main()
