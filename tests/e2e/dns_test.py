# SPDX-License-Identifier: GPL-2.0-or-later
"""Who answers DNS queries, over UDP and TCP."""

import itertools
from typing import Sequence

from tests.e2e import cni
from tests.e2e.pod import V4, Family, endpoint
from tests.e2e.rows import row
from tests.e2e.scenario import (ISTIO, LAYOUTS, MODES, REDIRECT, SLUICE, TPROXY, Scenario,
                                ScenarioCase, flags, of_both, tests_of)
from tests.e2e.traffic import (APP, SIDECAR, SIDECAR_GROUP, SIDECAR_ROOT, SIDECAR_USER, Caller,
                               Connection, captured_dns, captured_outbound, redirected)

ALL = {"dnsCapture": "all"}
SOME = {"dnsCapture": "resolvers", "dnsResolvers": of_both("resolver")}
BOTH_PROTOCOLS = ("udp", "tcp")
QUERIES = 1000
SOURCE_PORTS = (40001, 40002, 40003)


def asks(why: str, wanted: str, address: str, caller: Caller = APP,
         protocols: Sequence[str] = BOTH_PROTOCOLS, **more):
    """The same query over both protocols; `wanted` is "sidecar" or who else answers on port 53."""
    return [row(f"{why}, {protocol}", caller, address, 53,
                captured_dns(address, protocol) if wanted == "sidecar" else f"{wanted}:53",
                protocol=protocol, **more) for protocol in protocols]


def without_capture(family: Family):
    to = family.resolver
    return [row("udp is left alone", APP, to, 53, "outside:53", protocol="udp"),
            row("tcp is a connection like any other", APP, to, 53, captured_outbound(to, 53)),
            *asks("the sidecar's", "outside", to, SIDECAR),
            *asks("a local resolver's", "local resolver", family.local_resolver)]


@tests_of(
    Scenario("off", without_capture),
    Scenario("all", lambda f: [
        *asks("a resolver", "sidecar", f.resolver),
        *asks("any other", "sidecar", f.other_resolver),
        *asks("the source stays", "sidecar", f.resolver, seen=f.pod),
        *asks("the sidecar's own", "outside", f.resolver, SIDECAR),
        *asks("its uid is enough", "outside", f.resolver, SIDECAR_USER),
        *asks("its gid is enough", "outside", f.resolver, SIDECAR_GROUP),
        row("datagrams to other ports", APP, f.resolver, 443, "outside:443", protocol="udp"),
        row("connections to other ports", APP, f.resolver, 80, captured_outbound(f.resolver, 80)),
        row("over loopback to other ports", APP, f.loopback, 8080, "app:8080"),
    ], ALL),
    Scenario("all with a local resolver", lambda f: [
        *asks("the app's go to the sidecar first", "sidecar", f.local_resolver),
        *asks("the sidecar's reach it, there is no loop", "local resolver", f.local_resolver,
              SIDECAR),
        *asks("its uid is enough", "local resolver", f.local_resolver, SIDECAR_USER),
    ], ALL, modes=[REDIRECT]),
    Scenario("all with a local resolver and TPROXY", lambda f: [
        *asks("the app's go to the sidecar first", "sidecar", f.local_resolver),
        *asks("the sidecar's reach it, there is no loop", "local resolver", f.local_resolver,
              SIDECAR),
        *asks("its uid is enough", "local resolver", f.local_resolver, SIDECAR_USER),
    ], ALL, modes=[TPROXY], layouts=[SLUICE]),
    Scenario("Istio sends TCP of a sidecar to its inbound listener with TPROXY", lambda f: [
        *asks("over UDP", "local resolver", f.local_resolver, SIDECAR, ["udp"]),
        row("over TCP", SIDECAR, f.local_resolver, 53,
            f"sidecar:15006 (meant for {f.local_resolver}:53)"),
    ], ALL, modes=[TPROXY], layouts=[ISTIO], tested=[V4]),
    Scenario("all with a local resolver and a sidecar known by its gid", lambda f: [
        *asks("there is no loop", "local resolver", f.local_resolver, SIDECAR_ROOT),
    ], ALL, layouts=[SLUICE]),
    Scenario("Istio sends TCP of a sidecar known by its gid to its inbound listener", lambda f: [
        *asks("over UDP", "local resolver", f.local_resolver, SIDECAR_ROOT, ["udp"]),
        row("over TCP", SIDECAR_ROOT, f.local_resolver, 53,
            f"sidecar:15006 (meant for {f.local_resolver}:53)"),
    ], ALL, layouts=[ISTIO], tested=[V4]),
    Scenario("resolvers", lambda f: [
        *asks("listed", "sidecar", f.resolver),
        *asks("not listed", "outside", f.other_resolver, protocols=["udp"]),
        row("not listed, tcp", APP, f.other_resolver, 53, captured_outbound(f.other_resolver, 53)),
        *asks("the sidecar's own", "outside", f.resolver, SIDECAR),
        *asks("a local one that is not listed", "local resolver", f.local_resolver,
              protocols=["udp"]),
    ], SOME),
    Scenario("a local resolver is listed", lambda f: [
        *asks("listed", "sidecar", f.local_resolver),
        *asks("the sidecar's own", "local resolver", f.local_resolver, SIDECAR, ["udp"]),
        *asks("not listed", "outside", f.resolver, protocols=["udp"]),
    ], {"dnsCapture": "resolvers", "dnsResolvers": of_both("local_resolver")}),
    Scenario("a resolver of one family", lambda f:
             asks("listed", "sidecar", f.resolver) if f is V4 else
             asks("none of this family", "outside", f.resolver, protocols=["udp"]),
             {"dnsCapture": "resolvers", "dnsResolvers": V4.resolver}),
    Scenario("excluded ports beat DNS capture", lambda f: [
        *asks("port 53 is excluded", "outside", f.resolver),
    ], {**ALL, "excludeOutboundPorts": "53"}),
    Scenario("excluded ranges do not count for DNS", lambda f: [
        *asks("the resolver is excluded", "sidecar", f.resolver),
    ], {**ALL, "excludeOutboundCidrs": f"{V4.resolver}/32,fd99::/16"}),
    Scenario("nothing outbound but DNS", lambda f: [
        *asks("captured", "sidecar", f.resolver),
        row("not captured", APP, f.outside, 80, "outside:80"),
    ], {**ALL, "includeOutboundCidrs": ""}),
    Scenario("users beat DNS capture", lambda f: [
        *asks("that user, that protocol", "outside", f.resolver, protocols=["udp"]),
        *asks("that user, the other protocol", "sidecar", f.resolver, protocols=["tcp"]),
        *asks("another user", "sidecar", f.resolver, Caller("another", 1001, 1000)),
    ], {**ALL, "excludeOutboundForUids": "udp:53:1000"}),
    Scenario("excluded groups beat DNS capture", lambda f: [
        *asks("excluded", "outside", f.resolver),
        *asks("not excluded", "sidecar", f.resolver, Caller("another", 1000, 1001)),
    ], {**ALL, "excludeOwnerGroups": "1000"}),
    Scenario("another port of the sidecar", lambda f: [
        row("udp", APP, f.resolver, 53, "sidecar:15054", protocol="udp"),
        row("tcp", APP, f.resolver, 53, redirected("sidecar:15054", endpoint(f.resolver, 53))),
    ], {**ALL, "dnsPort": "15054"}),
)
class DnsTest(ScenarioCase):
    """By the setting dnsCapture."""

    def test_resolvers_without_resolvers_are_refused(self):
        pod = self.pod()
        before = self.sluice("read", pod)
        done = cni.sluice("apply", pod, *cni.backend_flags(), "--dns-capture", "resolvers")
        self.assertEqual(1, done.returncode, done.stderr)
        self.assertIn("resolvers", done.stderr)
        self.assertEqual(before, self.sluice("read", pod))


class SharedPortsTest(ScenarioCase):
    """The app and the sidecar ask the same resolver from the same three ports."""

    def test_all(self):
        self.nothing_is_lost(ALL, "resolver", BOTH_PROTOCOLS)

    def test_resolvers(self):
        self.nothing_is_lost(SOME, "resolver", BOTH_PROTOCOLS)

    def test_local_resolver(self):
        self.nothing_is_lost(ALL, "local_resolver", ["udp"])

    def nothing_is_lost(self, settings: dict, asked: str, protocols: Sequence[str]) -> None:
        # Nothing of this depends on both at once.
        for mode, layout in zip(MODES, LAYOUTS):
            pod = self.redirected(flags({"ipv6": "always", "interceptionMode": mode,
                                         "layout": layout, **settings}))
            for family, protocol in itertools.product(pod.families, protocols):
                with self.subTest(mode=mode, layout=layout, family=family.name, protocol=protocol):
                    self.assertEqual({}, wrong_answers(pod, getattr(family, asked), protocol))


def wrong_answers(pod, address: str, protocol: str) -> dict:
    """Who answered whom wrongly, and how often: QUERIES by the app, as many by the sidecar."""
    wrong: dict[str, int] = {}
    callers = itertools.cycle((APP, SIDECAR, SIDECAR, APP, APP, SIDECAR, APP))
    asked = {APP: 0, SIDECAR: 0}
    while min(asked.values()) < QUERIES:
        # At most one at a time from each port, as the kernel has it, and all ports at once.
        queries = [Connection(next(callers), address, 53, protocol, source_port=port)
                   for port in SOURCE_PORTS]
        for query, landing in zip(queries, pod.land_all(queries)):
            asked[query.caller] += 1
            by_sidecar = landing.place == "sidecar:15053"
            expected = by_sidecar if query.caller is APP else landing.place.endswith(":53")
            if not expected:
                key = f"{query.caller.name}: {landing}"
                wrong[key] = wrong.get(key, 0) + 1
    return wrong
