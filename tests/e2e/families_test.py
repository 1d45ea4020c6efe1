# SPDX-License-Identifier: GPL-2.0-or-later
"""IPv4, IPv6 and both: each pod with each value of `ipv6`, in both directions and both modes."""

import itertools
import json
import subprocess
from typing import Sequence

from tests.e2e import cni
from tests.e2e.cases import PodCase
from tests.e2e.live import LivePod
from tests.e2e.pod import V4, V6, Family
from tests.e2e.rows import Row, row
from tests.e2e.scenario import MODES, TPROXY, ScenarioCase
from tests.e2e.traffic import (APP, CLIENT, SIDECAR, Connection, captured_dns, captured_inbound,
                               captured_outbound)

REDIRECTED = "redirected"
UNTOUCHED = "untouched"
BLOCKED = "blocked"

PODS = ([V4], [V6], [V4, V6], [V6, V4])


def fate_of_ipv6(policy: str, first: Family) -> str:
    """What the README promises about IPv6 in a pod whose first address is of that family."""
    if policy in ("always", "never"):
        return REDIRECTED if policy == "always" else UNTOUCHED
    if first is V6:
        return REDIRECTED
    return BLOCKED if policy == "block" else UNTOUCHED


def rows_of(family: Family, fate: str) -> list[Row]:
    outside, pod = family.outside, family.pod
    place = {
        REDIRECTED: (captured_outbound(outside, 80), captured_inbound(pod, 8080)),
        UNTOUCHED: ("outside:80", "app:8080"),
        BLOCKED: ("refused", "refused"),
    }[fate]
    always = [
        row("the sidecar passes", SIDECAR, outside, 80, "outside:80"),
        row("over loopback", APP, family.loopback, 8080, "app:8080"),
        row("excluded outbound", APP, outside, 15020, "outside:15020"),
        row("excluded inbound", CLIENT, pod, 15021, "app:15021"),
    ]
    return [row("outbound", APP, outside, 80, place[0]),
            row("inbound", CLIENT, pod, 8080, place[1]), *always]


class Ipv6Test(PodCase):
    """The setting `ipv6`, whichever address comes first."""

    def test_every_pod_with_every_value(self):
        for families in PODS:
            with LivePod(families) as pod:
                for policy, mode in itertools.product(("auto", "always", "never", "block"), MODES):
                    names = "+".join(family.name for family in families)
                    with self.subTest(pod=names, ipv6=policy, mode=mode):
                        self.promise_holds(pod, policy, mode)

    def promise_holds(self, pod: LivePod, policy: str, mode: str) -> None:
        annotations, config = cni.injected({cni.MODE: mode}), {"ipv6": policy}
        self.succeeds(cni.add(pod, annotations, config))
        pod.namespace().forget_connections()
        fate = fate_of_ipv6(policy, pod.families[0])
        for family in pod.families:
            self.rows_hold(pod, rows_of(family, REDIRECTED if family is V4 else fate))
        self.assertEqual(fate == REDIRECTED, V6.passthrough in loopback_addresses(pod))
        self.succeeds(cni.delete(pod, annotations, config))
        for family in pod.families:
            self.rows_hold(pod, rows_of(family, UNTOUCHED))
        self.assertEqual([V4.loopback, V6.loopback], loopback_addresses(pod))
        self.assertEqual([], marked_rules(pod))

    def rows_hold(self, pod: LivePod, rows: Sequence[Row]) -> None:
        for one in rows:
            wanted, happened = one.check(pod.land(one.connection))
            self.assertEqual(wanted, happened, one.connection.title())

    def test_blocked_dns(self):
        pod = self.redirected_pod(cni.injected({"sluice.dev/dns-capture": "all"}),
                                  {"ipv6": "block"})
        for protocol in ("udp", "tcp"):
            self.lands(captured_dns(V4.resolver, protocol), pod, APP, V4.resolver, 53,
                       protocol=protocol)
            self.lands("refused", pod, APP, V6.resolver, 53, protocol=protocol)
            self.lands("outside:53", pod, SIDECAR, V6.resolver, 53, protocol=protocol)

    def test_a_leak_of_auto_is_reported(self):
        pod = self.live_pod()
        outcome = cni.add(pod, cni.injected(), {"ipv6": "auto"})
        self.succeeds(outcome)
        self.assertIn(V6.pod, outcome.stderr)
        self.untouched(pod, V6)


class PassthroughAddressTest(PodCase):
    """::6/128 on lo, from which the sidecar reaches the app over IPv6."""

    def test_it_is_there_when_it_is_needed(self):
        for mode in MODES:
            pod = self.redirected_pod(cni.injected({cni.MODE: mode}), {"ipv6": "always"})
            self.assertIn(V6.passthrough, loopback_addresses(pod))
            self.lands("app:8080", pod, SIDECAR, V6.pod, 8080, source=V6.passthrough)

    def test_it_is_not_there_when_nothing_inbound_is_captured(self):
        pod = self.redirected_pod(cni.injected(includeInboundPorts=""), {"ipv6": "always"})
        self.assertNotIn(V6.passthrough, loopback_addresses(pod))

    def test_it_is_left_out_where_lo_has_no_ipv6(self):
        for mode in MODES:
            pod = self.live_pod([V4])
            pod.namespace().set("ipv6/conf/lo/disable_ipv6", "1")
            self.succeeds(cni.add(pod, cni.injected({cni.MODE: mode}), {"ipv6": "always"}))
            self.assertEqual([V4.loopback], loopback_addresses(pod))
            self.captured(pod, V4)

    def test_it_goes_with_the_configuration_that_wanted_it(self):
        pod = self.redirected_pod(cni.injected(), {"ipv6": "always"})
        self.succeeds(cni.add(pod, cni.injected(), {"ipv6": "never"}))
        self.assertNotIn(V6.passthrough, loopback_addresses(pod))


class CommandLineTest(ScenarioCase):
    """`sluice apply` asks the namespace for the pod's addresses."""

    def test_what_it_wrote_itself_is_no_address_of_the_pod(self):
        pod = self.redirected(["--ipv6", "always"])
        self.assertIn(V6.passthrough, loopback_addresses(pod))
        for policy, lands in (("auto", "outside:80"), ("block", "refused")):
            self.sluice("apply", pod, "--ipv6", policy)
            self.assertEqual(lands, str(pod.land(Connection(APP, V6.outside, 80))))


    def test_the_passthrough_address_can_be_bound_at_once(self):
        """The kernel must not first look for somebody else who has it."""
        connection = Connection(SIDECAR, V6.pod, 8080, source=V6.passthrough)
        pod = self.pod()
        for _ in range(50):
            self.sluice("apply", pod, "--ipv6", "always")
            landing = str(pod.land(connection))
            self.sluice("remove", pod)
            self.assertEqual("app:8080", landing)


class PolicyRouteTest(PodCase):
    """What mode TPROXY needs beside its rules."""

    def test_one_rule_for_each_family_however_often_it_is_applied(self):
        pod = self.tproxy_pod()
        self.succeeds(cni.add(pod, cni.injected({cni.MODE: TPROXY}), {"ipv6": "always"}))
        self.assertEqual(["0x539 lookup 133"] * 2, marked_rules(pod))

    def test_another_configuration_takes_them_out(self):
        pod = self.tproxy_pod()
        self.succeeds(cni.add(pod, cni.injected(), {"ipv6": "always"}))
        self.assertEqual([], marked_rules(pod))
        self.captured(pod, V4)
        self.captured(pod, V6)

    def test_an_empty_list_of_inbound_ports_needs_none(self):
        pod = self.redirected_pod(cni.injected({cni.MODE: TPROXY}, includeInboundPorts=""),
                                  {"ipv6": "always"})
        self.assertEqual([], marked_rules(pod))

    def test_rules_of_others_stay(self):
        pod = self.live_pod()
        ip(pod, "rule", "add", "fwmark", "7", "lookup", "100")
        outcome = cni.add(pod, cni.injected({cni.MODE: TPROXY}), {"ipv6": "always"})
        self.succeeds(outcome)
        self.succeeds(cni.delete(pod, cni.injected(), {}))
        self.assertEqual(["0x7 lookup 100"], marked_rules(pod))

    def tproxy_pod(self) -> LivePod:
        return self.redirected_pod(cni.injected({cni.MODE: TPROXY}), {"ipv6": "always"})


def ip(pod: LivePod, *arguments: str) -> str:
    return subprocess.run(["nsenter", f"--net={pod.netns}", "ip", *arguments], text=True,
                          capture_output=True, check=True, timeout=10).stdout


def loopback_addresses(pod: LivePod) -> list[str]:
    links = json.loads(ip(pod, "-json", "addr", "show", "dev", "lo"))
    return [address["local"] for address in links[0]["addr_info"]]


def marked_rules(pod: LivePod) -> list[str]:
    """The policy routing rules that ask for a mark, IPv4 first."""
    lines = (ip(pod, "-4", "rule") + ip(pod, "-6", "rule")).splitlines()
    asked = [line.split("fwmark ")[1] for line in lines if "fwmark" in line]
    return [text.split(" proto ")[0].strip() for text in asked]
