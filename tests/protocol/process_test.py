# SPDX-License-Identifier: GPL-2.0-or-later
"""What the plugin makes of the process it is born into: streams, limits, directory, privileges."""

import json
import os
import unittest

from tests.protocol.contract import PluginCase
from tests.protocol.netconf import conf, mesh_conf
from tests.protocol.runtime import PLUGIN, run

# A shell that changes its streams and then becomes the plugin.
CLOSED_STDIN = ("sh", "-c", 'exec "$@" <&-', "sh")
CLOSED_STDOUT = ("sh", "-c", 'exec "$@" >&-', "sh")
CLOSED_STDERR = ("sh", "-c", 'exec "$@" 2>&-', "sh")
NO_DIRECTORY = ("sh", "-c", 'd=$(mktemp -d) && cd "$d" && rmdir "$d" && exec "$@"', "sh")


def without(capability):
    return ("setpriv", f"--bounding-set=-{capability}", f"--inh-caps=-{capability}")


class Streams(PluginCase):
    def test_a_full_stdout_is_a_failure(self):
        with open("/dev/full", "wb") as full:
            self.assertEqual(run("ADD", conf(), stdout=full).rc, 1)
            self.assertEqual(run("VERSION", conf(), stdout=full).rc, 1)

    def test_a_closed_stdout_is_a_failure(self):
        self.assertEqual(run("ADD", conf(), wrap=CLOSED_STDOUT).rc, 1)

    def test_a_reader_that_went_away_does_not_kill_the_plugin(self):
        # Python leaves SIGPIPE at its default in children, so an unprepared writer dies by signal 13.
        read_end, write_end = os.pipe()
        os.close(read_end)
        with os.fdopen(write_end, "wb") as pipe:
            self.assertEqual(run("ADD", conf(), stdout=pipe).rc, 1)

    def test_a_closed_stderr_does_no_harm(self):
        pod = self.pod()
        document = mesh_conf(pod, unknownKey=1)
        self.assert_passed(run("ADD", document, pod, wrap=CLOSED_STDERR), document)
        self.assert_redirected(pod)

    def test_an_unreadable_stdin_is_an_io_error(self):
        # Read from nothing at all, from a directory, and from a file that is only open for writing.
        self.assert_error(run("ADD", b"", wrap=CLOSED_STDIN), (5, 6))
        for shell in ('exec "$@" </', 'exec "$@" 0>/dev/null'):
            with self.subTest(shell=shell):
                self.assert_error(run("ADD", b"", wrap=("sh", "-c", shell, "sh")), 5, "stdin")

    def test_stdin_may_trickle_in(self):
        document = conf()
        slowly = ("sh", "-c", 'while IFS= read -r line; do echo "$line"; sleep 0.01; done | "$@"', "sh")
        self.assert_passed(run("ADD", json.dumps(document, indent=1) + "\n", wrap=slowly), document)


class Size(unittest.TestCase):
    def test_it_is_copied_onto_every_node(self):
        self.assertLess(os.path.getsize(PLUGIN), 3 << 20)


class Surroundings(PluginCase):
    def test_a_deleted_working_directory(self):
        document = conf()
        self.assert_passed(run("ADD", document, wrap=NO_DIRECTORY), document)

    def test_tight_limits_give_success_or_a_clean_error(self):
        for limit in ("--nofile=16", "--fsize=0", "--nproc=1", "--as=67108864"):
            with self.subTest(limit=limit):
                pod = self.pod()
                document = mesh_conf(pod)
                outcome = run("ADD", document, pod, wrap=("prlimit", limit))
                if outcome.rc == 0:
                    self.assert_passed(outcome, document)
                    self.assert_redirected(pod)
                else:
                    self.assert_error(outcome, (100, 101, 102, 103, 104, 11))
                    self.assert_not_redirected(pod)

    def test_stable_error_text(self):
        # Kubernetes merges events by their text.
        texts = {run("ADD", conf(name="a b")).stdout for _ in range(3)}
        self.assertEqual(len(texts), 1)


class Privileges(PluginCase):
    def test_a_missing_capability_is_refused_with_nothing_changed(self):
        for capability in ("sys_admin", "net_admin", "net_raw"):
            for backend in ("xtables", "nftables"):
                if (capability, backend) == ("net_raw", "nftables"):
                    continue
                with self.subTest(capability=capability, backend=backend):
                    pod = self.pod()
                    document = mesh_conf(pod, backend=backend)
                    with self.unchanged(pod):
                        outcome = run("ADD", document, pod, wrap=without(capability))
                    self.assert_error(outcome, 103, f"CAP_{capability.upper()}")

    def test_nftables_needs_no_raw_sockets(self):
        pod = self.pod()
        document = mesh_conf(pod, backend="nftables")
        self.assert_passed(run("ADD", document, pod, wrap=without("net_raw")), document)

    def test_status_says_which_is_missing(self):
        for backend in ("auto", "xtables", "nftables"):
            self.assert_success_silent(run("STATUS", conf(backend=backend)))
            for capability in ("sys_admin", "net_admin"):
                outcome = run("STATUS", conf(backend=backend), wrap=without(capability))
                self.assert_error(outcome, 50, f"CAP_{capability.upper()}")
        self.assert_error(run("STATUS", conf(backend="xtables"), wrap=without("net_raw")), 50, "CAP_NET_RAW")

    def test_a_pod_that_is_not_ours_needs_no_privilege(self):
        document = conf()
        drop = ("setpriv", "--bounding-set=-all", "--inh-caps=-all")
        self.assert_passed(run("ADD", document, wrap=drop), document)
