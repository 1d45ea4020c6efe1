# SPDX-License-Identifier: GPL-2.0-or-later
"""The CNI_* variables: which are required, which values are refused, and that VERSION needs none of them."""

import os
import subprocess

from tests.protocol.contract import PluginCase
from tests.protocol.netconf import VERSIONS, conf, mesh_conf
from tests.protocol.runtime import PLUGIN, run

REQUIRED = {
    "ADD": ("CNI_CONTAINERID", "CNI_NETNS", "CNI_IFNAME"),
    "CHECK": ("CNI_CONTAINERID", "CNI_NETNS", "CNI_IFNAME"),
    "DEL": ("CNI_CONTAINERID", "CNI_IFNAME"),
    "GC": ("CNI_PATH",),
}
BAD_IDS = ("../../etc/x", "a/b", "a b", "a;b", "a\n", "é", "-a", ".a", "_a")
BAD_NAMES = (
    "sixteen-bytes-xx", "é" * 8, ".", "..", "a/b", "a:b", "a b", "a\tb", "a\n",
    "a\u00a0b", "a\u2003b", "a\u0085b",
)  # fmt: skip
# Names that are well-formed but of no interface; the last is not UTF-8.
STRANGE_NAMES = ("fifteen-bytes-x", "é" * 7, "eth0%d", "-eth0", "all", "default", "\udcff")
ABOUT = (
    r"^CNI sluice-cni plugin v\S+\n"
    r"CNI protocol versions supported: 0\.1\.0, 0\.2\.0, 0\.3\.0, 0\.3\.1, 0\.4\.0, 1\.0\.0, 1\.1\.0\n$"
)


class OpenPipe:
    """A stdin that never ends: whoever reads it before looking at the environment hangs."""

    def __enter__(self):
        read_end, self.write_end = os.pipe()
        self.reader = os.fdopen(read_end, "rb")
        return self.reader

    def __exit__(self, *_):
        self.reader.close()
        os.close(self.write_end)


class RequiredVariables(PluginCase):
    def test_each_missing_variable_is_named(self):
        for command, names in REQUIRED.items():
            for name in names:
                for value in (None, ""):
                    with self.subTest(command=command, name=name, value=value):
                        self.assert_error(run(command, conf(), env={name: value}), 4, name)

    def test_all_missing_variables_are_listed_in_order(self):
        for command in ("ADD", "CHECK"):
            names = REQUIRED[command]
            error = self.assert_error(run(command, conf(), env=dict.fromkeys(names)), 4)
            self.assertIn(f"[{','.join(names)}]", error["msg"])

    def test_missing_variables_are_reported_before_stdin_is_read(self):
        with OpenPipe() as stdin:
            self.assert_error(run("ADD", stdin, env={"CNI_IFNAME": None}, timeout=3), 4, "CNI_IFNAME")

    def test_del_needs_no_namespace(self):
        for value in (None, ""):
            self.assert_success_silent(run("DEL", conf(), env={"CNI_NETNS": value}))

    def test_path_is_not_needed_without_delegation(self):
        document = conf()
        for value in (None, ""):
            self.assert_passed(run("ADD", document, env={"CNI_PATH": value}), document)
            self.assert_success_silent(run("DEL", document, env={"CNI_PATH": value}))
            self.assert_success_silent(run("CHECK", document, env={"CNI_PATH": value}))

    def test_status_and_gc_look_at_no_container_variable(self):
        for value in ("", None, "../garbage"):
            env = dict.fromkeys(("CNI_CONTAINERID", "CNI_NETNS", "CNI_IFNAME", "CNI_ARGS"), value)
            for command in ("STATUS", "GC"):
                with self.subTest(command=command, value=value):
                    self.assert_success_silent(run(command, conf(), env=env))

    def test_unknown_variables_are_ignored(self):
        document = conf()
        env = {"CNI_FUTURE": "x", "TRACEPARENT": "00-", "LC_ALL": "tr_TR.UTF-8"}
        self.assert_passed(run("ADD", document, env=env), document)


class VariableValues(PluginCase):
    def test_bad_container_ids_are_refused(self):
        for command in ("ADD", "CHECK", "DEL"):
            for value in BAD_IDS:
                with self.subTest(command=command, value=value):
                    outcome = run(command, conf(), env={"CNI_CONTAINERID": value})
                    self.assert_error(outcome, 4, "CNI_CONTAINERID")

    def test_bad_interface_names_are_refused(self):
        for command in ("ADD", "CHECK", "DEL"):
            for value in BAD_NAMES:
                with self.subTest(command=command, value=value):
                    self.assert_error(run(command, conf(), env={"CNI_IFNAME": value}), 4, "CNI_IFNAME")

    def test_bad_values_are_refused_before_stdin_is_read(self):
        for env in ({"CNI_CONTAINERID": "a/b"}, {"CNI_IFNAME": "a/b"}):
            with OpenPipe() as stdin:
                self.assert_error(run("ADD", stdin, env=env, timeout=3), 4)

    def test_a_bad_id_is_reported_with_a_missing_variable_behind_it(self):
        env = {"CNI_CONTAINERID": "a/b", "CNI_IFNAME": None}
        self.assert_error(run("ADD", conf(), env=env), 4, "CNI_CONTAINERID")

    def test_strange_names_only_fail_because_no_such_interface_exists(self):
        pod = self.pod()
        for value in STRANGE_NAMES:
            with self.subTest(value=value), self.unchanged(pod):
                outcome = run("ADD", mesh_conf(pod), pod, env={"CNI_IFNAME": value})
                self.assert_error(outcome, 101)

    def test_a_long_container_id_is_served(self):
        pod, env = self.pod(), {"CNI_CONTAINERID": "c" * 4096}
        self.assertEqual(run("ADD", mesh_conf(pod), pod, env=env).rc, 0)
        self.assert_redirected(pod)
        self.assert_success_silent(run("DEL", mesh_conf(pod), pod, env=env))
        self.assert_not_redirected(pod)

    def test_args_are_read_leniently(self):
        document = conf()
        for value in (";;", "FOO", "A=b=c", "=x", " K8S_POD_NAME=a", "X=" + "y" * 120000, "IgnoreUnknown=yes"):
            with self.subTest(value=value[:20]):
                self.assert_passed(run("ADD", document, env={"CNI_ARGS": value}), document)


class Commands(PluginCase):
    def test_unknown_commands_are_refused_without_reading_stdin(self):
        for command in ("UPDATE", "add", "ADD ", " ADD", "VERSIONS"):
            with self.subTest(command=command), OpenPipe() as stdin:
                self.assert_error(run(command, stdin, timeout=3), 4, command)

    def test_no_command_prints_the_about_text(self):
        for value in (None, ""):
            with self.subTest(value=value), OpenPipe() as stdin:
                outcome = run("ADD", stdin, env={"CNI_COMMAND": value}, timeout=3)
                self.assert_success_silent(outcome)
                self.assertRegex(outcome.stderr, ABOUT)

    def test_about_text_with_nothing_at_all(self):
        done = subprocess.run(["sh", "-c", f"exec env -i {PLUGIN} <&-"], capture_output=True, timeout=5, check=True)
        self.assertEqual(done.stdout, b"")
        self.assertRegex(done.stderr.decode(), ABOUT)

    def test_arguments_are_ignored(self):
        document = conf()
        for argv in (["--help"], ["-v"], ["DEL"], ["x"] * 5000):
            self.assert_passed(run("ADD", document, argv=argv), document)

    def test_the_first_of_two_equal_variables_counts(self):
        # Only execve itself can pass an environment with a name in it twice.
        script = (
            "import ctypes, sys\n"
            "def strings(*s): return (ctypes.c_char_p * (len(s) + 1))(*s)\n"
            "path = sys.argv[1].encode()\n"
            "ctypes.CDLL(None).execve(path, strings(path), strings(b'CNI_COMMAND=VERSION', b'CNI_COMMAND=UPDATE'))\n"
        )
        done = subprocess.run(
            ["/usr/bin/python3", "-c", script, PLUGIN], capture_output=True, timeout=10, check=False
        )
        self.assertEqual(done.returncode, 0, done)
        self.assertIn(b"supportedVersions", done.stdout)


class Version(PluginCase):
    EXPECTED = {"cniVersion": "1.1.0", "supportedVersions": list(VERSIONS)}

    def test_version_lists_all_seven(self):
        for stdin in (b"", b"garbage", b'{"cniVersion":"9.9.9"}', b'{"cniVersion":"1.1.0"}'):
            with self.subTest(stdin=stdin):
                self.assert_result(run("VERSION", stdin), self.EXPECTED)

    def test_version_does_not_read_stdin(self):
        with OpenPipe() as stdin:
            self.assert_result(run("VERSION", stdin, timeout=3), self.EXPECTED)

    def test_version_needs_no_other_variable(self):
        probe = {"CNI_CONTAINERID": "", "CNI_NETNS": "dummy", "CNI_IFNAME": "dummy", "CNI_PATH": "dummy"}
        for env in (probe, dict.fromkeys(probe)):
            self.assert_result(run("VERSION", b"", env=env), self.EXPECTED)

    def test_version_needs_no_privilege(self):
        drop = ("setpriv", "--bounding-set=-all", "--inh-caps=-all")
        self.assert_result(run("VERSION", b"", wrap=drop), self.EXPECTED)
