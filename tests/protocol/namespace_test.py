# SPDX-License-Identifier: GPL-2.0-or-later
"""CNI_NETNS: what is not a network namespace, and the plugin's own one."""

import os
import pathlib
import socket
import tempfile

from tests.protocol.contract import PluginCase
from tests.protocol.netconf import conf, injected, mesh_conf
from tests.protocol.runtime import run


def within(pod):
    """Makes a pod's namespace the plugin's own, which spares the real host if the guard fails."""
    return ("nsenter", f"--net={pod.path}")


def ours(**keys):
    return conf(annotations=injected(), **keys)


class NotANamespace(PluginCase):
    def setUp(self):
        directory = tempfile.TemporaryDirectory(prefix="sluice-proto-")
        self.addCleanup(directory.cleanup)
        self.directory = pathlib.Path(directory.name)

    def paths(self):
        regular = self.directory / "regular"
        regular.write_text("content")
        os.mkfifo(self.directory / "fifo")
        (self.directory / "loop").symlink_to("loop")
        listener = socket.socket(socket.AF_UNIX)
        self.addCleanup(listener.close)
        listener.bind(str(self.directory / "socket"))
        own = [str(self.directory / name) for name in ("regular", "fifo", "loop", "socket", "missing")]
        return [*own, str(self.directory), "/dev/null", "/proc/self/ns/mnt", "relative/path", "/x" * 2500]

    def test_add_and_check_refuse_and_name_the_variable(self):
        for path in self.paths():
            for command in ("ADD", "CHECK"):
                with self.subTest(command=command, path=path[:60]):
                    outcome = run(command, ours(), env={"CNI_NETNS": path}, timeout=5)
                    self.assert_error(outcome, 4, "CNI_NETNS")

    def test_del_has_nothing_to_do(self):
        for path in [*self.paths(), "", None]:
            with self.subTest(path=path and path[:60]):
                self.assert_success_silent(run("DEL", ours(), env={"CNI_NETNS": path}, timeout=5))

    def test_nothing_is_created_or_touched(self):
        regular = self.directory / "regular"
        regular.write_text("content")
        os.utime(regular, ns=(1, 1))
        for command in ("ADD", "CHECK", "DEL"):
            run(command, ours(), env={"CNI_NETNS": str(regular)})
            run(command, ours(), env={"CNI_NETNS": str(self.directory / "missing")})
        self.assertEqual([path.name for path in self.directory.iterdir()], ["regular"])
        self.assertEqual((regular.read_text(), regular.stat().st_mtime_ns), ("content", 1))


class OwnNamespace(PluginCase):
    def test_add_and_check_refuse_before_any_change(self):
        host = self.pod()
        for path in ("/proc/self/ns/net", host.path):
            for command in ("ADD", "CHECK"):
                with self.subTest(command=command, path=path), self.unchanged(host):
                    outcome = run(command, mesh_conf(host), env={"CNI_NETNS": path}, wrap=within(host))
                    self.assert_error(outcome, 4, "CNI_NETNS")

    def test_a_symbolic_link_to_it_is_seen_through(self):
        host = self.pod()
        with tempfile.TemporaryDirectory(prefix="sluice-proto-") as directory, self.unchanged(host):
            link = pathlib.Path(directory) / "link"
            link.symlink_to(host.path)
            outcome = run("ADD", mesh_conf(host), env={"CNI_NETNS": str(link)}, wrap=within(host))
            self.assert_error(outcome, 4)

    def test_the_override_allows_it(self):
        for value in ("1", "true", "TRUE", "True"):
            with self.subTest(value=value):
                host = self.pod()
                env = {"CNI_NETNS_OVERRIDE": value}
                self.assert_passed(
                    run("ADD", mesh_conf(host), host, env=env, wrap=within(host)), mesh_conf(host)
                )
                self.assert_redirected(host)

    def test_other_values_do_not(self):
        host = self.pod()
        for value in ("yes", "0", "", "false"):
            with self.subTest(value=value), self.unchanged(host):
                env = {"CNI_NETNS_OVERRIDE": value}
                self.assert_error(run("ADD", mesh_conf(host), host, env=env, wrap=within(host)), 4)

    def test_del_leaves_it_alone(self):
        host = self.pod()
        run("ADD", mesh_conf(host), host)
        with self.unchanged(host):
            self.assert_success_silent(run("DEL", mesh_conf(host), host, wrap=within(host)))
        self.assert_redirected(host)


class Interfaces(PluginCase):
    def test_a_missing_interface_is_an_error_with_nothing_changed(self):
        for pod in (self.pod(bare=True), self.pod()):
            with self.unchanged(pod):
                outcome = run("ADD", mesh_conf(pod), pod, env={"CNI_IFNAME": "eth7"})
                self.assert_error(outcome, 101, "eth7")

    def test_prev_result_is_not_believed_about_it(self):
        pod = self.pod(bare=True)
        with self.unchanged(pod):
            self.assert_error(run("ADD", mesh_conf(pod), pod), 101, "eth0")

    def test_an_interface_of_the_host_does_not_count(self):
        host, pod = self.pod(), self.pod(bare=True)
        with self.unchanged(host), self.unchanged(pod):
            self.assert_error(run("ADD", mesh_conf(pod), pod, wrap=within(host)), 101, "eth0")

    def test_the_sandbox_of_the_result_is_not_opened(self):
        host, pod = self.pod(), self.pod()
        document = mesh_conf(host)
        with self.unchanged(host):
            self.assert_passed(run("ADD", document, pod), document)
        self.assert_redirected(pod)

    def test_a_down_interface_and_loopback_do_no_harm(self):
        pod = self.pod()
        pod.ip("link set eth0 down", "link set lo down")
        self.assert_passed(run("ADD", mesh_conf(pod), pod), mesh_conf(pod))
        self.assert_redirected(pod)
