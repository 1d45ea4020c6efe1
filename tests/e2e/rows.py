# SPDX-License-Identifier: GPL-2.0-or-later
"""What a redirected pod promises, as a table: each row one connection and where it must land."""

from dataclasses import dataclass
from typing import Optional

from tests.e2e import cni, traffic
from tests.e2e.pod import Family, V4, V6
from tests.e2e.traffic import (APP, CLIENT, SIDECAR, SIDECAR_GROUP, SIDECAR_ROOT, SIDECAR_USER,
                               Caller, Connection, Landing)

# The pod the rows are about: everything captured, with an exclusion of each kind.
ANNOTATIONS = cni.injected(
    excludeInboundPorts="9090",
    excludeOutboundPorts="8443",
    excludeOutboundIPRanges=f"{V4.apart_range},{V6.apart_range}",
)
CONFIG = {"ipv6": "always"}

# The same pod when its sidecar is to keep the clients' addresses, and answers DNS.
TPROXY_ANNOTATIONS = cni.injected({cni.MODE: "TPROXY", "sluice.dev/dns-capture": "all"})


@dataclass(frozen=True)
class Row:
    """One connection, why it is in the table, where it must land and what is seen there."""

    why: str
    connection: Connection
    wanted: str
    source: Optional[str] = None  # whom the one who accepts must see; None: whoever it is

    def check(self, landing: Landing) -> tuple[str, str]:
        """What was wanted and what happened, in words that are equal if they should be."""
        if self.source is None:
            return self.wanted, str(landing)
        return f"{self.wanted}, from {self.source}", f"{landing}, from {landing.source}"


def row(why: str, caller: Caller, address: str, port: int, wanted: str,
        seen: Optional[str] = None, **connection) -> Row:
    return Row(why, Connection(caller, address, port, **connection), wanted, seen)


def rows(family: Family) -> list[Row]:
    """The promises to a pod with ANNOTATIONS and CONFIG."""
    return outbound_rows(family) + inbound_rows(family) + loopback_rows(family)


def outbound_rows(family: Family) -> list[Row]:
    outside, apart = family.outside, family.outside_apart
    return [
        row("outbound is captured", APP, outside, 80, traffic.captured_outbound(outside, 80)),
        row("the proxy passes", SIDECAR, outside, 80, "outside:80"),
        row("its uid alone is enough", SIDECAR_USER, outside, 80, "outside:80"),
        row("its gid alone is enough", SIDECAR_GROUP, outside, 80, "outside:80"),
        row("excluded outbound port", APP, outside, 8443, "outside:8443"),
        row("excluded outbound range", APP, apart, 80, "outside:80"),
    ]


def inbound_rows(family: Family) -> list[Row]:
    pod = family.pod
    return [
        row("inbound is captured", CLIENT, pod, 8080, traffic.captured_inbound(pod, 8080)),
        row("excluded inbound port", CLIENT, pod, 9090, "app:9090"),
        row("health port of the proxy", CLIENT, pod, 15021, "app:15021"),
        row("tunnel port is the proxy's own", CLIENT, pod, 15008, "sidecar:15008"),
    ]


def loopback_rows(family: Family) -> list[Row]:
    pod = family.pod
    return [
        row("the proxy hands on to the app", SIDECAR, pod, 8080, "app:8080",
            source=family.passthrough),
        row("the app to itself, loopback", APP, family.loopback, 8080, "app:8080"),
        row("the app to itself, own address", APP, pod, 8080, "app:8080"),
        row("the proxy to its own pod", SIDECAR, pod, 8080, traffic.captured_inbound(pod, 8080)),
    ]


def tproxy_rows(family: Family) -> list[Row]:
    """The promises to a pod with TPROXY_ANNOTATIONS and CONFIG, where they are others."""
    pod, outside, resolver = family.pod, family.outside, family.resolver
    return [
        row("inbound is captured, nothing is translated", CLIENT, pod, 8080,
            traffic.captured_inbound(pod, 8080), seen=family.peer),
        row("the proxy calls the app as the client", SIDECAR_ROOT, pod, 8080, "app:8080",
            seen=family.peer, source=family.peer, mark=1337, transparent=True),
        row("or as itself", SIDECAR_ROOT, pod, 8080, "app:8080", seen=family.passthrough,
            source=family.passthrough),
        row("outbound is redirected", APP, outside, 80, traffic.captured_outbound(outside, 80)),
        row("a DNS query", APP, resolver, 53, traffic.captured_dns(resolver, "udp"),
            protocol="udp"),
        row("a DNS query over TCP", APP, resolver, 53, traffic.captured_dns(resolver, "tcp")),
        row("the proxy's own query", SIDECAR_ROOT, resolver, 53, "outside:53", protocol="udp"),
    ]


def control_rows(family: Family) -> list[Row]:
    """The same network without rules: nothing is captured in either direction."""
    return [
        row("outbound without rules", APP, family.outside, 80, "outside:80"),
        row("inbound without rules", CLIENT, family.pod, 8080, "app:8080"),
    ]
