# SPDX-License-Identifier: GPL-2.0-or-later
"""Where connections land that a guest of the pod opens, behind a virtual interface."""

from tests.e2e.pod import Family
from tests.e2e.rows import row
from tests.e2e.scenario import (ISTIO, REDIRECT, SLUICE, TPROXY, Scenario, ScenarioCase, of_both, tests_of)
from tests.e2e.traffic import (APP, CLIENT, GUEST, captured_dns, captured_inbound,
                               captured_outbound)

GUESTS = {"virtualInterfaces": "net1"}
EXCLUSIONS = {**GUESTS, "excludeOutboundPorts": "443,8000-8100", "dnsCapture": "all",
              "excludeOutboundCidrs": of_both("apart_range")}


def out(why: str, family: Family, port: int, address: str = "", **more):
    to = address or family.outside
    return row(why, GUEST, to, port, captured_outbound(to, port), **more)


def past(why: str, family: Family, port: int, address: str = "", **more):
    return row(why, GUEST, address or family.outside, port, f"outside:{port}", **more)


@tests_of(
    Scenario("the guest's connections go out through the sidecar", lambda f: [
        out("to the world", f, 80),
        out("the source is the guest's", f, 443, seen=f.guest),
        past("a datagram is left alone", f, 443, protocol="udp"),
        row("to the pod", GUEST, f.guest_gateway, 8080, captured_outbound(f.guest_gateway, 8080)),
    ], GUESTS, layouts=[SLUICE]),
    Scenario("the same by Istio", lambda f: [
        out("to the world", f, 80), out("the source is the guest's", f, 443, seen=f.guest),
    ], GUESTS, modes=[REDIRECT], layouts=[ISTIO]),
    Scenario("the pod's own connections are as ever", lambda f: [
        row("outbound", APP, f.outside, 80, captured_outbound(f.outside, 80)),
        row("inbound", CLIENT, f.pod, 8080, captured_inbound(f.pod, 8080)),
        row("to the guest", APP, f.guest, 8080, captured_outbound(f.guest, 8080)),
    ], GUESTS),
    Scenario("interfaces that are not there yet", lambda f: [
        row("outbound", APP, f.outside, 80, captured_outbound(f.outside, 80)),
        out("one that is", f, 80),
    ], {"virtualInterfaces": "tap0,net1"}, layouts=[SLUICE]),
    Scenario("included ranges", lambda f: [
        out("within", f, 80, f.outside_apart), past("beyond", f, 80),
    ], {**GUESTS, "includeOutboundCidrs": of_both("apart_range")}, layouts=[SLUICE]),
    Scenario("included ranges by Istio", lambda f: [
        out("within", f, 80, f.outside_apart), past("beyond", f, 80),
    ], {**GUESTS, "includeOutboundCidrs": of_both("apart_range")}, modes=[REDIRECT],
        layouts=[ISTIO]),
    Scenario("exclusions and DNS do not count in Istio's order", lambda f: [
        out("an excluded port", f, 443), out("in an excluded range", f, 80, f.outside_apart),
        past("DNS over UDP", f, 53, f.resolver, protocol="udp"),
        out("DNS over TCP", f, 53, f.resolver),
    ], EXCLUSIONS, modes=[REDIRECT], layouts=[ISTIO]),
    Scenario("exclusions and DNS count", lambda f: [
        past("an excluded port", f, 443), past("in an excluded range of ports", f, 8050),
        past("in an excluded range", f, 80, f.outside_apart), out("none of them", f, 80),
        row("DNS over UDP", GUEST, f.resolver, 53, captured_dns(f.resolver, "udp"),
            protocol="udp", seen=f.guest),
        row("DNS over TCP", GUEST, f.resolver, 53, captured_dns(f.resolver, "tcp")),
    ], EXCLUSIONS, layouts=[SLUICE]),
    Scenario("DNS to the resolvers", lambda f: [
        row("listed", GUEST, f.resolver, 53, captured_dns(f.resolver, "udp"), protocol="udp"),
        past("not listed", f, 53, f.other_resolver, protocol="udp"),
    ], {**GUESTS, "dnsCapture": "resolvers", "dnsResolvers": of_both("resolver")},
        layouts=[SLUICE]),
    Scenario("excluded interface beats virtual interface", lambda f: [
        past("to the world", f, 80),
    ], {**GUESTS, "excludeInterfaces": "net1"}, layouts=[SLUICE]),
    Scenario("virtual interface beats excluded interface in Istio's order", lambda f: [
        out("to the world", f, 80),
    ], {**GUESTS, "excludeInterfaces": "net1"}, modes=[REDIRECT], layouts=[ISTIO]),
    Scenario("guests are taken for clients with TPROXY in Istio's order", lambda f: [
        row("to the world", GUEST, f.outside, 80, captured_inbound(f.outside, 80)),
        row("to the pod", GUEST, f.guest_gateway, 8080,
            captured_inbound(f.guest_gateway, 8080)),
    ], GUESTS, modes=[TPROXY], layouts=[ISTIO]),
    Scenario("a guest without a virtual interface", lambda f: [
        row("is a client like any other", GUEST, f.guest_gateway, 8080,
            captured_inbound(f.guest_gateway, 8080)),
    ]),
)
class GuestTest(ScenarioCase):
    """Setting virtualInterfaces."""
