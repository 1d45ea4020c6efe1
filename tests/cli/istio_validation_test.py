# SPDX-License-Identifier: GPL-2.0-or-later
"""sluice istio-iptables in a pod: writing, taking out, and whether its validation tells the truth."""

import re
import subprocess
from typing import Sequence

from tests.cli.istio_iptables import INIT_CONTAINER, SIDECAR, run_in, tool
from tests.e2e.cases import PodCase
from tests.e2e.pod import BOTH as BOTH_FAMILIES
from tests.e2e.pod import V4, V6, Family, Pod

ALL = ("-b", "*", "-i", "*", "-d", "15090,15021,15020")
BOTH = (*ALL, "--dual-stack")
DNS_FLAGS = ("--redirect-dns", "--capture-all-dns")
DNS = (*BOTH, *DNS_FLAGS)
TPROXY = (*BOTH, "-m", "TPROXY")
VALIDATE = ("--run-validation", "--skip-rule-apply")
INVALID = 126
NO_SETUID = "skipped: needs CAP_SETUID and CAP_SETGID to send as another user than the sidecar"


def state(pod: Pod) -> str:
    """All rules, addresses on lo and policy routes, without counters and times."""
    saved = tool(pod, "iptables-legacy-save") + tool(pod, "ip6tables-legacy-save")
    lines = [re.sub(r"\[\d+:\d+\]", "", line) for line in saved.splitlines() if line[0] != "#"]
    return "\n".join(lines) + tool(pod, "ip", "addr", "show", "dev", "lo") + \
        tool(pod, "ip", "-4", "rule") + tool(pod, "ip", "-6", "rule")


class ApplyTest(PodCase):
    def applies(self, pod: Pod, *arguments: str, become: Sequence[str] = INIT_CONTAINER) -> None:
        result = run_in(pod, *arguments, become=become)
        self.assertEqual((result.rc, result.out), (0, ""), result)

    def test_an_init_container_captures_both_directions(self):
        pod = self.live_pod()
        self.applies(pod, *BOTH)
        self.captured(pod, V4)
        self.captured(pod, V6)
        self.applies(pod, "--cleanup-only")
        self.untouched(pod, V4)
        self.untouched(pod, V6)

    def test_it_may_run_again(self):
        with Pod() as pod:
            for arguments in (DNS, (*TPROXY, "--drop-invalid"), (*ALL, "-c", "net1")):
                self.applies(pod, *arguments)
                once = state(pod)
                for again in ((), ("--reconcile",), ("--force-apply",)):
                    self.applies(pod, *arguments, *again)
                    self.assertEqual(state(pod), once)
            for _ in range(2):
                self.applies(pod, "--cleanup-only")
                self.assertNotIn("ISTIO", state(pod))
                self.assertNotIn("::6", state(pod))
                self.assertNotIn("fwmark", state(pod))

    def test_what_istio_itself_wrote_is_taken_over_and_out(self):
        with Pod([V4]) as pod:
            empty = state(pod)
            planned = run_in(pod, "-n", *ALL, *DNS_FLAGS, "-c", "net1").out
            for arguments in (("--cleanup-only",), ALL):
                restored = subprocess.run(["nsenter", f"--net={pod.netns}", "iptables-legacy-restore"], input=planned,
                                          text=True, capture_output=True, check=False, timeout=20)
                self.assertEqual(restored.returncode, 0, restored.stderr)
                self.applies(pod, *arguments)
                if arguments == ALL:
                    self.assertNotIn("net1", state(pod))
                    self.applies(pod, "--cleanup-only")
                self.assertNotIn("-A", state(pod).replace(empty, ""))

    def test_what_is_written_is_what_a_dry_run_prints(self):
        with Pod() as pod:
            for arguments in (BOTH, DNS, TPROXY):
                planned = run_in(pod, "-n", *arguments).out
                self.applies(pod, *arguments)
                for words, text in ((("iptables-legacy-save",), planned.split("# ip6tables\n")[0]),
                                    (("ip6tables-legacy-save",), planned.split("# ip6tables\n")[1])):
                    live = [line for line in tool(pod, *words).splitlines() if line[:2] == "-A"]
                    wanted = [line for line in text.splitlines() if line[:2] == "-A"]
                    self.assertEqual(sorted(live), sorted(wanted))

    def test_mode_none_writes_nothing(self):
        with Pod() as pod:
            before = state(pod)
            for become in ((), SIDECAR):
                result = run_in(pod, *ALL, "-m", "NONE", become=become)
                self.assertEqual((result.rc, result.out), (0, ""), result)
            self.assertEqual(state(pod), before)

    def test_from_outside(self):
        with Pod() as pod, Pod() as elsewhere:
            self.applies(elsewhere, *ALL, "--network-namespace", pod.netns, become=())
            self.assertIn("ISTIO_OUTPUT", state(pod))
            self.assertNotIn("ISTIO_OUTPUT", state(elsewhere))
            result = run_in(elsewhere, *ALL, *VALIDATE, "--network-namespace", pod.netns)
            self.assertEqual(result.rc, 0, result)
            self.assertIn("validation: outbound IPv4: ok\n", result.out)

    def test_an_address_past_the_mesh_is_named(self):
        with Pod() as pod:
            result = run_in(pod, *ALL)
            self.assertEqual(result.rc, 0)
            self.assertIn(V6.pod, result.err)

    def test_a_namespace_without_addresses(self):
        with Pod(()) as pod:
            self.applies(pod, *ALL)
            self.assertIn("ISTIO_OUTPUT", state(pod))


class ValidationCase(PodCase):
    patience = "10s"  # only what fails takes as long

    def result(self, pod: Pod, *arguments: str, become: Sequence[str] = (), **options) -> tuple[int, list[str]]:
        result = run_in(pod, *VALIDATE, "--probe-timeout", self.patience, *arguments, become=become, **options)
        lines = result.out.splitlines()
        for line in lines:
            self.assertTrue(line.startswith("validation: "), result)
        if result.rc == INVALID:
            self.assertEqual(result.err.count("\n"), 1, result)
            self.assertIn("validation failed", result.err)
        else:
            self.assertEqual((result.rc, result.err), (0, ""), result)
        return result.rc, [line.removeprefix("validation: ") for line in lines]

    def applied(self, *arguments: str, families: Sequence[Family] = BOTH_FAMILIES) -> Pod:
        pod = self.enterContext(Pod(families))
        result = run_in(pod, *arguments)
        self.assertEqual((result.rc, result.out), (0, ""), result)
        return pod


class ValidTest(ValidationCase):
    def test_ipv4(self):
        pod = self.applied(*ALL, families=[V4])
        self.assertEqual(self.result(pod, *ALL), (0, ["inbound IPv4: ok", "outbound IPv4: ok"]))

    def test_ipv6(self):
        pod = self.applied(*ALL, families=[V6])
        self.assertEqual(self.result(pod, *ALL),
                         (0, ["IPv4: nothing to test: the pod has no such address", "inbound IPv6: ok",
                              "outbound IPv6: ok"]))

    def test_both_families(self):
        pod = self.applied(*BOTH)
        self.assertEqual(self.result(pod, *BOTH), (0, ["inbound IPv4: ok", "outbound IPv4: ok", "inbound IPv6: ok",
                                                       "outbound IPv6: ok"]))

    def test_a_family_that_is_left_alone_is_named(self):
        pod = self.applied_with_leak()
        rc, lines = self.result(pod, *ALL)
        self.assertEqual((rc, lines[:2]), (0, ["inbound IPv4: ok", "outbound IPv4: ok"]))
        self.assertRegex(lines[2], "^IPv6: nothing to test: .*dual stack")

    def test_the_address_on_lo_is_none_of_the_pods(self):
        pod = self.applied(*BOTH)
        self.assertEqual(len(self.result(pod, *BOTH)[1]), 4)
        rc, lines = self.result(pod, *ALL)
        self.assertEqual((rc, lines[0]), (0, "inbound IPv4: ok"))
        self.assertRegex(lines[2], "^IPv6: nothing to test: .*dual stack")

    def applied_with_leak(self) -> Pod:
        pod = self.enterContext(Pod())
        self.assertEqual(run_in(pod, *ALL).rc, 0)
        return pod

    def test_dns(self):
        pod = self.applied(*DNS)
        wanted = [f"{what} {family}: ok" for family in ("IPv4", "IPv6")
                  for what in ("inbound", "outbound", "DNS over UDP", "DNS over TCP")]
        self.assertEqual(self.result(pod, *DNS), (0, wanted))

    def test_dns_of_the_pods_resolvers(self):
        etc = {"resolv.conf": "nameserver 10.96.0.10\n"}
        arguments = (*ALL, "--redirect-dns")
        pod = self.enterContext(Pod([V4]))
        self.assertEqual(run_in(pod, *arguments, etc=etc).rc, 0)
        self.assertEqual(self.result(pod, *arguments, etc=etc)[1][2:], ["DNS over UDP IPv4: ok",
                                                                        "DNS over TCP IPv4: ok"])
        rc, lines = self.result(pod, *arguments, "--probe-timeout=700ms",
                                etc={"resolv.conf": "nameserver 10.96.0.11\n"})
        self.assertEqual(rc, INVALID)
        self.assertIn("10.96.0.11:53", lines[2])

    def test_tproxy(self):
        pod = self.applied(*TPROXY)
        wanted = [f"{what} {family}: ok" for family in ("IPv4", "IPv6")
                  for what in ("inbound", "TPROXY", "TPROXY route", "outbound")]
        self.assertEqual(self.result(pod, *TPROXY), (0, wanted))

    def test_tproxy_without_net_admin(self):
        pod = self.applied(*TPROXY)
        rc, lines = self.result(pod, *TPROXY, become=("setpriv", "--bounding-set=-net_admin,-net_raw"))
        self.assertEqual(rc, 0)
        self.assertEqual(lines[1:3], ["TPROXY IPv4: skipped: needs CAP_NET_ADMIN",
                                      "TPROXY route IPv4: skipped: needs CAP_NET_ADMIN"])

    def test_the_validation_container(self):
        """The sidecar's user without capabilities: what istio-validation runs as."""
        pod = self.applied(*BOTH)
        self.assertEqual(self.result(pod, *BOTH, become=SIDECAR),
                         (0, ["inbound IPv4: ok", f"outbound IPv4: {NO_SETUID}", "inbound IPv6: ok",
                              f"outbound IPv6: {NO_SETUID}"]))

    def test_root_without_setuid(self):
        pod = self.applied(*ALL, families=[V4])
        rc, lines = self.result(pod, *ALL, become=INIT_CONTAINER)
        self.assertEqual((rc, lines[1]), (0, "outbound IPv4: ok"))
        self.assertRegex(lines[0], "skipped: needs CAP_SETUID")

    def test_apply_and_validate_at_once(self):
        pod = self.enterContext(Pod([V4]))
        result = run_in(pod, *ALL, "--run-validation")
        self.assertEqual((result.rc, result.err), (0, ""))
        self.assertEqual(result.out, "validation: inbound IPv4: ok\nvalidation: outbound IPv4: ok\n")

    def test_every_shape_of_configuration(self):
        for arguments, env, uid in (
                (("-b", "80,9000", "-i", "10.0.0.0/8,fd00::/8", "-o", "15002", "--dual-stack"), {}, "1337"),
                (("-b", "*", "-i", "10.77.0.0/24", "-x", "10.77.0.1/32", "-u", "2000,2001"), {}, "2000"),
                (("-b", "*", "-i", "*", "-x", "192.0.2.0/24,2001:db8::/32", "-e", "15002", "--dual-stack"), {}, "1337"),
                (("-b", "*", "-i", "", "-q", "443,8000-8010"), {}, "1337"),
                (("-b", "*", "-i", "127.0.0.0/8"), {}, "1337"),
                (("-b", "*", "-i", "*", "-p", "16001", "-z", "16006", "--iptables-probe-port", "9999"), {}, "1337"),
                (BOTH, {"ISTIO_OUTBOUND_IPV4_LOOPBACK_CIDR": "127.0.0.0/8"}, "1337"),
                (BOTH, {"ISTIO_OUTBOUND_OWNER_GROUPS": "1337,3000"}, "1337"),
                (BOTH, {"ISTIO_OUTBOUND_OWNER_GROUPS_EXCLUDE": "0,65534"}, "1337"),
                ((*TPROXY, "-b", "8080", "-t", "77", "-r", "88"), {}, "1337"),
                ((*TPROXY, "-d", "15002,15003"), {}, "1337"),
                ((*DNS, "-u", "0", "-g", "1337"), {}, "0")):
            with self.subTest(arguments=arguments, env=env), Pod() as pod:
                self.assertEqual(run_in(pod, *arguments, env=env).rc, 0)
                rc, lines = self.result(pod, *arguments, env=env)
                self.assertEqual(rc, 0, lines)
                tested = [line for line in lines if not line.startswith("IPv6: nothing")]
                self.assertGreaterEqual(len(tested), 2)
                for line in tested:
                    self.assertTrue(line.endswith(": ok"), lines)
                become = ("setpriv", f"--reuid={uid}", "--bounding-set=-all")
                rc, lines = self.result(pod, *arguments, env=env, become=become)
                self.assertEqual((rc, lines[0]), (0, "inbound IPv4: ok"))

    def test_where_the_sidecar_is_there_already(self):
        pod = self.live_pod()
        self.assertEqual(run_in(pod, *BOTH).rc, 0)
        rc, lines = self.result(pod, *BOTH)
        self.assertEqual(rc, 0)
        for line in lines:
            self.assertRegex(line, r": ok: another program listens on port 150\d\d; seen in /proc/net/tcp$")

    def test_where_a_transparent_sidecar_is_there_already(self):
        pod = self.live_pod()
        self.assertEqual(run_in(pod, *TPROXY).rc, 0)
        rc, lines = self.result(pod, *TPROXY)
        self.assertEqual(rc, 0, lines)
        for line in lines[1], lines[5]:
            self.assertRegex(line, "TPROXY IPv.: ok: another program listens on port 15006")
        tool(pod, "iptables-legacy", "-t", "mangle", "-F", "ISTIO_TPROXY")
        rc, lines = self.result(pod, *TPROXY, "--probe-timeout=700ms")
        self.assertEqual((rc, lines[5].split(":")[1]), (INVALID, " ok"))
        self.assertIn("TPROXY IPv4: failed", lines[1])


class InvalidTest(ValidationCase):
    patience = "700ms"

    def test_without_rules(self):
        pod = self.enterContext(Pod())
        rc, lines = self.result(pod, *BOTH)
        self.assertEqual(rc, INVALID)
        self.assertEqual(lines[0], "inbound IPv4: failed: connection to 127.0.0.6:15002 did not arrive at port 15006 "
                                   "within 700 ms (Connection refused)")
        self.assertRegex(lines[1], r"^outbound IPv4: failed: connection to 192\.0\.2\.1:15002 did not arrive at port "
                                   "15001 within 700 ms")
        self.assertRegex(lines[2], r"^inbound IPv6: failed: connection to \[::6\]:15002 did not arrive")
        self.assertRegex(lines[3], r"^outbound IPv6: failed: connection to \[2001:db8::1\]:15002 did not arrive")
        self.assertEqual(self.result(pod, *BOTH, become=SIDECAR)[0], INVALID)

    def failing(self, pod: Pod, *arguments: str) -> list[str]:
        rc, lines = self.result(pod, *arguments)
        self.assertEqual(rc, INVALID, lines)
        for line in lines:
            self.assertRegex(line, ": (ok$|failed: )")
        return [line.split(":")[0] for line in lines if not line.endswith(": ok")]

    def test_one_part_is_broken(self):
        for arguments, words, wanted in (
                (BOTH, "iptables-legacy -t nat -F ISTIO_IN_REDIRECT", ["inbound IPv4"]),
                (BOTH, "iptables-legacy -t nat -F ISTIO_REDIRECT", ["outbound IPv4"]),
                (BOTH, "ip6tables-legacy -t nat -F ISTIO_IN_REDIRECT", ["inbound IPv6"]),
                (BOTH, "ip6tables-legacy -t nat -F ISTIO_REDIRECT", ["outbound IPv6"]),
                (BOTH, "ip addr del ::6/128 dev lo", ["inbound IPv6"]),
                (BOTH, "iptables-legacy -t nat -R ISTIO_REDIRECT 1 -p tcp -j REDIRECT --to-ports 15006",
                 ["outbound IPv4"]),
                (BOTH, "iptables-legacy -t nat -D OUTPUT -j ISTIO_OUTPUT", ["inbound IPv4", "outbound IPv4"]),
                (DNS, "iptables-legacy -t nat -F ISTIO_OUTPUT_DNS", ["DNS over UDP IPv4", "DNS over TCP IPv4"]),
                (DNS, "ip6tables-legacy -t nat -D ISTIO_OUTPUT_DNS -p udp -m udp --dport 53 -j REDIRECT "
                      "--to-ports 15053", ["DNS over UDP IPv6"]),
                (DNS, "iptables-legacy -t raw -D ISTIO_OUTPUT_DNS -p udp -m udp --sport 15053 -m owner --uid-owner 1337 "
                      "-j CT --zone 2", ["DNS over UDP IPv4"]),
                (TPROXY, "iptables-legacy -t mangle -F ISTIO_TPROXY", ["TPROXY IPv4"]),
                (TPROXY, "ip -4 rule del fwmark 1337", ["TPROXY route IPv4"]),
                (TPROXY, "ip -6 route flush table 133", ["TPROXY route IPv6"])):
            with self.subTest(broken=words):
                pod = self.applied(*arguments)
                tool(pod, *words.split())
                if "--sport" in words:  # the same rule stands there for the group
                    tool(pod, *words.replace("uid-owner", "gid-owner").split())
                self.assertEqual(self.failing(pod, *arguments), wanted)

    def test_a_connection_that_somebody_else_takes(self):
        pod = self.live_pod()
        rc, lines = self.result(pod, "-b", "*", "-i", "10.99.0.0/16", "--iptables-probe-port", "8080")
        self.assertEqual(rc, INVALID)
        self.assertIn("did not arrive at port 15006", lines[0])
        self.assertIn("another program accepted it", lines[0])

    def test_nothing_could_be_tested(self):
        pod = self.enterContext(Pod(()))
        result = run_in(pod, "-b", "", "-i", "*", *VALIDATE)
        self.assertEqual(result.rc, INVALID)
        self.assertIn("validation: outbound IPv4: skipped: no route to 192.0.2.1: Network is unreachable\n", result.out)
        self.assertIn("nothing could be tested", result.err)

    def test_the_route_over_an_excluded_interface(self):
        pod = self.applied(*ALL, "-c", "eth+", families=[V4])
        rc, lines = self.result(pod, *ALL, "-c", "eth+")
        self.assertEqual((rc, lines[0]), (0, "inbound IPv4: ok"))
        self.assertRegex(lines[1], "outbound IPv4: skipped: .*eth0, which is excluded")


class NothingToTestTest(ValidationCase):
    def test_nothing_is_captured(self):
        pod = self.enterContext(Pod([V4]))
        for arguments, env, wanted in (
                ((), {}, ["inbound IPv4: nothing to test: no inbound port is captured",
                          "outbound IPv4: nothing to test: no outbound destination is captured"]),
                ((*ALL, "-m", "NONE"), {}, ["all: nothing to test: the interception mode is NONE"]),
                (("-i", "*"), {"ISTIO_OUTBOUND_OWNER_GROUPS": ""},
                 ["inbound IPv4: nothing to test: no inbound port is captured",
                  "outbound IPv4: nothing to test: no group's outbound traffic is captured"]),
                (("-i", "*", "-o", "1-65535"), {},
                 ["inbound IPv4: nothing to test: no inbound port is captured",
                  "outbound IPv4: nothing to test: all outbound ports are excluded"])):
            for become in ((), SIDECAR):
                with self.subTest(arguments=arguments, become=become):
                    self.assertEqual(self.result(pod, *arguments, env=env, become=become), (0, wanted))

    def test_port_53_is_excluded(self):
        arguments = (*ALL, "--redirect-dns", "--capture-all-dns", "-o", "53")
        pod = self.applied(*arguments, families=[V4])
        self.assertEqual(self.result(pod, *arguments)[1][2:],
                         [f"DNS over {what} IPv4: nothing to test: outbound port 53 is excluded"
                          for what in ("UDP", "TCP")])

    def test_with_a_dry_run_the_rules_have_stdout(self):
        pod = self.applied(*ALL, families=[V4])
        result = run_in(pod, *ALL, "--dry-run", "--run-validation")
        self.assertEqual(result.rc, 0)
        self.assertEqual(result.out, run_in(pod, *ALL, "--dry-run").out)
        self.assertEqual(result.err, "validation: inbound IPv4: ok\nvalidation: outbound IPv4: ok\n")
