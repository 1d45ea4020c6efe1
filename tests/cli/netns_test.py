# SPDX-License-Identifier: GPL-2.0-or-later
"""sluice apply, read, check and remove on a real namespace."""

import json
import subprocess
import time

from tests.cli.command import CommandCase, sluice
from tests.e2e.cni import COMMAND_SECONDS
from tests.e2e.pod import V4, Pod
from tests.e2e.cases import PodCase

DIFFERENT = 2
FIREWALL = """
table inet filter {
  chain input {
    type filter hook input priority 0; policy drop;
    iifname "lo" accept
    tcp dport 22 accept
  }
  chain ISTIO_OUTPUT {
    counter return
  }
}
"""


class NamespaceTest(PodCase, CommandCase):
    def setUp(self):
        self.pod = self.live_pod()
        self.netns = ("--netns", self.pod.netns)

    def reads(self, *arguments):
        result = sluice("read", *self.netns, *arguments)
        self.assertEqual((result.rc, result.err), (0, "backend: xtables (the kernel offers it)\n"))
        return result.out

    def test_the_backend_that_is_asked_for(self):
        pinned = ("--backend", "xtables")
        self.prints("apply", *self.netns, "--ipv6", "always", *pinned, "--nft-table", "mesh")
        self.assertEqual(self.prints("check", *self.netns, "--ipv6", "always", *pinned), "")
        self.assertEqual(sluice("read", *self.netns, *pinned).err,
                         "backend: xtables (the settings ask for it)\n")
        self.assertIn("ISTIO_OUTPUT", self.reads())
        self.prints("remove", *self.netns, *pinned)
        self.assertNotIn("ISTIO", self.reads())

    def test_life_cycle(self):
        self.assertEqual(sluice("check", *self.netns).rc, DIFFERENT)
        self.prints("apply", *self.netns, "--ipv6", "always")
        self.captured(self.pod, V4)
        self.assertEqual(self.prints("check", *self.netns, "--ipv6", "always"), "")
        self.assertEqual(self.reads(), self.prints("rules"))
        self.prints("remove", *self.netns)
        self.untouched(self.pod, V4)
        self.prints("remove", *self.netns)
        self.assertEqual(sluice("check", *self.netns).rc, DIFFERENT)

    def test_check_names_each_difference(self):
        self.prints("apply", *self.netns, "--ipv6", "always", "--exclude-outbound-ports", "5432")
        result = sluice("check", *self.netns, "--ipv6", "always", "--exclude-outbound-ports", "6379")
        self.assertEqual((result.rc, result.err), (DIFFERENT, ""))
        self.assertIn("missing: IPv4 nat: -A ISTIO_OUTPUT -p tcp -m tcp --dport 6379 -j RETURN\n", result.out)
        self.assertIn("unexpected: IPv6 nat: -A ISTIO_OUTPUT -p udp -m udp --dport 5432 -j RETURN\n",
                      result.out)
        self.assertEqual(result.out.count("\n"), 8)

    def test_read_as_json(self):
        self.prints("apply", *self.netns, "--ipv6", "never")
        families = json.loads(self.reads("--format", "json"))
        self.assertEqual([table["name"] for table in families[0]["tables"]], ["nat"])
        self.assertEqual(families[1]["tables"], [])

    def test_policy_routes_are_planned_checked_and_taken_out(self):
        tproxy = ("--ipv6", "always", "--interception-mode", "TPROXY")
        planned = self.prints("apply", *self.netns, "--dry-run", *tproxy)
        for family in ("IPv4", "IPv6"):
            self.assertIn(f"+ missing: {family} route: fwmark 0x539 lookup 133\n", planned)
        self.prints("apply", *self.netns, *tproxy)
        self.assertEqual(self.prints("check", *self.netns, *tproxy), "")
        other = sluice("check", *self.netns, *tproxy, "--tproxy-table", "300")
        self.assertEqual(other.rc, DIFFERENT)
        self.assertIn("missing: IPv6 route: fwmark 0x539 lookup 300\n", other.out)
        self.assertIn("unexpected: IPv6 route: fwmark 0x539 lookup 133\n", other.out)
        self.assertIn("- unexpected: IPv4 route: fwmark 0x539 lookup 133\n",
                      self.prints("remove", *self.netns, "--dry-run"))
        self.prints("remove", *self.netns)
        self.assertEqual(self.prints("remove", *self.netns, "--dry-run"), "")

    def test_dry_runs_say_what_they_would_do_and_do_nothing(self):
        planned = self.prints("apply", *self.netns, "--dry-run", "--ipv6", "always")
        self.assertIn("+ missing: IPv4 nat: -A OUTPUT -j ISTIO_OUTPUT\n", planned)
        self.assertIn("+ missing: address ::6/128 on lo\n", planned)
        self.assertEqual(self.reads(), "# ip6tables\n")
        self.prints("apply", *self.netns, "--ipv6", "always")
        before = self.reads()
        self.assertIn("- unexpected: IPv6 nat: -N ISTIO_OUTPUT\n", self.prints("remove", *self.netns, "--dry-run"))
        self.assertEqual(self.reads(), before)

    def test_a_firewall_with_a_chain_of_ours_is_left_alone(self):
        """Whatever the command: its policy and its port 22 stay, and do not make it ours."""
        self.in_pod("nft", "-f", "-", text=FIREWALL)
        before = self.in_pod("nft", "list", "ruleset")
        self.assertEqual(self.reads(), "# ip6tables\n")
        for backend in ("auto", "nftables"):
            with self.subTest(backend=backend):
                place = (*self.netns, "--backend", backend)
                settings = (*place, "--ipv6", "always")
                for command, words in (("apply", settings), ("apply", settings), ("remove", place)):
                    done = sluice(command, *words)
                    self.assertEqual((done.rc, done.out), (0, ""), done)
                    self.assertEqual(done.err.count("table \"filter\" of nf_tables"), 1, done)
                    if command == "apply":
                        self.assertEqual(self.prints("check", *settings), "")
                self.assertEqual(self.in_pod("nft", "list", "ruleset"), before)

    def in_pod(self, *words, text=""):
        return subprocess.run(["nsenter", f"--net={self.pod.netns}", *words], input=text, text=True,
                              capture_output=True, check=True, timeout=COMMAND_SECONDS).stdout

    def test_thousands_of_excluded_cidrs_are_written_at_once(self):
        cidrs = ",".join(f"11.{i // 100}.{i % 100 * 2}.0/24" for i in range(5000))
        seconds = []
        for _ in range(3):
            begin = time.monotonic()
            self.prints("apply", *self.netns, "--backend", "nftables", "--ipv6", "never",
                        "--exclude-outbound-cidrs", cidrs)
            seconds.append(time.monotonic() - begin)
            self.prints("remove", *self.netns)
        self.assertLess(min(seconds), 0.1)

    def test_a_pod_that_is_not_redirected_is_left_alone(self):
        manifest = json.dumps({"kind": "Pod", "metadata": {"name": "a", "namespace": "b"}})
        result = sluice("apply", *self.netns, "-f", "-", text=manifest)
        self.assertEqual((result.rc, result.out), (0, ""))
        self.assertIn("b/a", result.err)
        self.assertEqual(self.prints("check", *self.netns, "-f", "-", text=manifest), "")
        self.untouched(self.pod, V4)


class RefusalTest(CommandCase):
    def test_what_is_no_namespace(self):
        for command in ("apply", "remove", "read", "check"):
            for path in ("/nonexistent", "/dev/null", "/etc/passwd", "/proc/self/ns/mnt"):
                with self.subTest(command=command, path=path):
                    self.refuses(command, "--netns", path, says=path)
            self.refuses(command, says="--netns")

    def test_a_backend_that_there_is_not(self):
        with Pod() as pod:
            for command in ("apply", "remove", "read", "check"):
                with self.subTest(command=command):
                    self.refuses(command, "--netns", pod.netns, "--backend", "ebpf", says='--backend: "ebpf"')
                    self.refuses(command, "--netns", pod.netns, "--nft-table", "a b", says='--nft-table: "a b"')

    def test_the_namespace_sluice_runs_in(self):
        for command in ("apply", "remove"):
            with self.subTest(command=command):
                self.refuses(command, "--netns", "/proc/self/ns/net", says="--own-netns")

    def test_without_privilege(self):
        with Pod() as pod:
            for command in ("apply", "remove", "read", "check"):
                with self.subTest(command=command):
                    self.refuses(command, "--netns", pod.netns, says="network namespace", user=65534,
                                 group=65534, extra_groups=[])
