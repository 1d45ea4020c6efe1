# SPDX-License-Identifier: GPL-2.0-or-later
"""The policy once more, in the words of settings and addresses: where does a connection land?

Knows settings and addresses, no tables, chains or rules. tests/e2e/random_test.py compares it with
real packets. The faults of layout `istio` are told apart from what layout `sluice` does.
"""

import ipaddress
from dataclasses import dataclass
from typing import Mapping, Optional, Sequence, Union

from tests.e2e.live import ANY, SERVERS
from tests.e2e.pod import V4, V6
from tests.e2e.scenario import ISTIO, REDIRECT, SLUICE, TPROXY
from tests.e2e.traffic import Connection, captured_dns, captured_inbound, captured_outbound

Network = Union[ipaddress.IPv4Network, ipaddress.IPv6Network]
PortRange = tuple[int, int]

DNS = 53
TUNNEL = 15008
# The sidecar's own ports that everybody may reach.
HEALTH = ((15020, 15020), (15021, 15021), (15090, 15090))
DEFAULT_EXCLUSION = ((15020, 15020),)


@dataclass(frozen=True)
class UserExclusion:
    protocol: str  # "" is any
    ports: Sequence[PortRange]  # empty: all
    users: Sequence[tuple[int, int]]

    def covers(self, connection: Connection) -> bool:
        return (self.protocol in ("", connection.protocol)
                and (not self.ports or _within(connection.port, self.ports))
                and _within(connection.caller.uid, self.users))

    def __str__(self) -> str:
        return f"{self.protocol}:{_ports(self.ports)}:{_ports(self.users)}"


@dataclass(frozen=True)
class Config:
    """What the settings ask for. None is `*` where a list can be that, or the default."""

    layout: str = SLUICE
    mode: str = REDIRECT
    ipv6: str = "always"
    proxy_uids: Sequence[int] = (1337,)
    proxy_gids: Sequence[int] = (1337,)
    include_inbound_ports: Optional[Sequence[PortRange]] = None
    exclude_inbound_ports: Optional[Sequence[PortRange]] = None
    exclude_inbound_cidrs: Sequence[Network] = ()
    include_outbound_ports: Sequence[PortRange] = ()
    exclude_outbound_ports: Optional[Sequence[PortRange]] = None
    include_outbound_cidrs: Optional[Sequence[Network]] = None
    exclude_outbound_cidrs: Sequence[Network] = ()
    exclude_outbound_for_uids: Sequence[UserExclusion] = ()
    include_owner_groups: Optional[Sequence[int]] = None
    exclude_owner_groups: Sequence[int] = ()
    exclude_interfaces: Sequence[str] = ()
    virtual_interfaces: Sequence[str] = ()
    dns_capture: str = "off"
    resolvers: Sequence[str] = ()
    ipv4_loopback: str = "127.0.0.1/32"

    def settings(self) -> Mapping[str, str]:
        """As the keys of the network configuration."""
        chosen = {
            "includeInboundPorts": _selection(self.include_inbound_ports, _ports),
            "excludeInboundPorts": _ports(self.exclude_inbound_ports or ()),
            "excludeInboundCidrs": _list(self.exclude_inbound_cidrs),
            "includeOutboundPorts": _ports(self.include_outbound_ports),
            "excludeOutboundPorts": _ports(self.exclude_outbound_ports or ()),
            "includeOutboundCidrs": _selection(self.include_outbound_cidrs, _list),
            "excludeOutboundCidrs": _list(self.exclude_outbound_cidrs),
            "excludeOutboundForUids": ";".join(str(one) for one in self.exclude_outbound_for_uids),
            "includeOwnerGroups": _selection(self.include_owner_groups, _list),
            "excludeOwnerGroups": _list(self.exclude_owner_groups),
            "excludeInterfaces": _list(self.exclude_interfaces),
            "virtualInterfaces": _list(self.virtual_interfaces),
            "dnsResolvers": _list(self.resolvers),
        }
        # An empty list of these is a value of its own.
        selections = ("includeInboundPorts", "includeOutboundCidrs", "includeOwnerGroups")
        given = {key: value for key, value in chosen.items() if value or key in selections}
        return {"layout": self.layout, "interceptionMode": self.mode, "ipv6": self.ipv6,
                "proxyUid": _list(self.proxy_uids), "proxyGid": _list(self.proxy_gids),
                "dnsCapture": self.dns_capture, "ipv4LoopbackCidr": self.ipv4_loopback,
                **given}


def landing(config: Config, connection: Connection) -> str:
    """Where a connection in the live pod (live.py, with a guest) lands under this configuration."""
    return _Question(config, connection).answer()


class _Question:
    """One connection under one configuration."""

    def __init__(self, config: Config, connection: Connection):
        self.config = config
        self.connection = connection
        self.address = connection.address.removeprefix("::ffff:")
        self.port = connection.port
        self.tcp = connection.protocol == "tcp"
        self.istio = config.layout == ISTIO
        self.dns_is_captured = config.dns_capture != "off"
        self.family = V6 if ":" in self.address else V4
        self.to_itself = self.address in _pod_addresses() or _is_loopback(self.address)

    def answer(self) -> str:
        verdict = self.verdict()
        if verdict == "direct" or self.family is V6 and self.config.ipv6 == "never":
            return self.direct()
        if self.family is V6 and self.config.ipv6 == "block":
            # What the sidecar sends to its own pod leaks nothing.
            return self.direct() if self.is_sidecar() and self.to_itself else "refused"
        if verdict == "dns":
            return captured_dns(self.address, self.connection.protocol)
        captured = captured_inbound if verdict == "inbound" else captured_outbound
        return captured(self.address, self.port)

    def verdict(self) -> str:
        """direct, or what the sidecar gets: inbound, outbound, dns."""
        place = self.connection.caller.place
        if place == "peer":
            return self.of_somebody_else("eth0")
        if place == "guest":
            return self.of_guest()
        return self.of_pod()

    def of_somebody_else(self, interface: str) -> str:
        """TCP that comes in over an interface goes to the sidecar, unless it is excluded."""
        if interface in self.config.exclude_interfaces:
            return "direct"
        return "inbound" if self.is_inbound_captured() else "direct"

    def is_inbound_captured(self) -> bool:
        if not self.tcp or self.port == TUNNEL and not self.is_tunnel_taken():
            return False
        if _covers(self.config.exclude_inbound_cidrs, self.source()):
            return False
        included = self.config.include_inbound_ports
        if included is not None:
            return _within(self.port, included)
        excluded = self.config.exclude_inbound_ports
        return not _within(self.port, (*(DEFAULT_EXCLUSION if excluded is None else excluded),
                                       *HEALTH))

    def is_tunnel_taken(self) -> bool:
        """A fault of Istio's: in mode TPROXY its exemption is where inbound traffic never comes."""
        blocked = self.family is V6 and self.config.ipv6 == "block"
        return self.istio and self.config.mode == TPROXY and not blocked

    def of_guest(self) -> str:
        """What comes in over a virtual interface is outbound traffic of a guest."""
        config = self.config
        if "net1" not in config.virtual_interfaces:
            return self.of_somebody_else("net1")
        if self.istio:  # nothing but the destination counts
            return "outbound" if self.tcp and self.is_included_destination() else "direct"
        if "net1" in config.exclude_interfaces or self.is_excluded_outbound_port():
            return "direct"
        return "dns" if self.is_captured_dns() else self.by_destination()

    def of_pod(self) -> str:
        """What a process of the pod sends."""
        config = self.config
        if not self.to_itself and self.interface() in config.exclude_interfaces:
            return "direct"
        if config.mode == TPROXY and self.is_call_intercepted():
            return "inbound"
        if self.is_excluded_outbound_port():
            return "direct"
        if any(exclusion.covers(self.connection) for exclusion in config.exclude_outbound_for_uids):
            return "direct"
        if self.is_from_passthrough():
            return "direct"
        return self.of_sidecar() or self.of_others()

    def of_sidecar(self) -> Optional[str]:
        """What the sidecar sends comes in again or goes out; None is somebody else's."""
        if not self.istio:
            if self.is_sidecar():
                return "inbound" if self.is_self_call() else "direct"
            return "direct" if self.is_left_alone_on_loopback() else None
        # Istio asks for one identity after the other, and everything on loopback that is not of the
        # first one is left alone. A GID's calls to a local resolver are not told apart.
        caller, config = self.connection.caller, self.config
        identities = [(uid == caller.uid, self.dns_is_captured) for uid in config.proxy_uids]
        identities += [(gid == caller.gid, False) for gid in config.proxy_gids]
        for is_known, leaves_dns in identities:
            if is_known:
                return "inbound" if self.is_self_call(leaves_dns) else "direct"
            if self.is_left_alone_on_loopback():
                return "direct"
        return None

    def of_others(self) -> str:
        if not self.is_captured_group(self.connection.caller.gid):
            return "direct"
        if self.is_captured_dns():
            return "dns"
        return "direct" if self.is_localhost() else self.by_destination()

    def is_sidecar(self) -> bool:
        caller = self.connection.caller
        return caller.place == "pod" and (caller.uid in self.config.proxy_uids
                                          or caller.gid in self.config.proxy_gids)

    def is_from_passthrough(self) -> bool:
        """The sidecar hands on to the app: that is never captured again."""
        return self.to_itself and self.connection.source == self.family.passthrough

    def is_self_call(self, leaves_dns: Optional[bool] = None) -> bool:
        """The sidecar calls its own pod, for the app: it is to come in like a call from outside.

        Not over localhost, not to the tunnel, and not to a local resolver where DNS is captured.
        """
        if leaves_dns is None:
            leaves_dns = self.dns_is_captured
        return (self.tcp and self.to_itself and not self.is_localhost() and self.port != TUNNEL
                and not (leaves_dns and self.port == DNS))

    def is_call_intercepted(self) -> bool:
        """In mode TPROXY the sidecar's calls to its pod are seen twice: what outbound exclusions
        let pass comes in all the same, as if from outside. Istio does not except any port."""
        called = self.tcp and self.to_itself and not self.is_localhost() if self.istio \
            else self.is_self_call()
        return (called and self.is_sidecar() and not self.is_from_passthrough()
                and self.is_inbound_captured())

    def is_left_alone_on_loopback(self) -> bool:
        """Others than the sidecar talk to themselves, unless a loopback range is to be captured."""
        if not self.to_itself:
            return False
        if any(network.is_loopback for network in self.config.include_outbound_cidrs or ()):
            return False
        return not (self.dns_is_captured and self.port == DNS)

    def is_captured_group(self, gid: int) -> bool:
        included = self.config.include_owner_groups
        return gid not in self.config.exclude_owner_groups if included is None else gid in included

    def is_excluded_outbound_port(self) -> bool:
        excluded = self.config.exclude_outbound_ports
        return _within(self.port, DEFAULT_EXCLUSION if excluded is None else excluded)

    def is_captured_dns(self) -> bool:
        return self.port == DNS and (self.config.dns_capture == "all" or (
            self.config.dns_capture == "resolvers" and self.address in self.config.resolvers))

    def is_localhost(self) -> bool:
        return _covers([ipaddress.ip_network(self.config.ipv4_loopback),
                        ipaddress.ip_network("::1/128")], self.address)

    def by_destination(self) -> str:
        if not self.tcp or _covers(self.config.exclude_outbound_cidrs, self.address):
            return "direct"
        included = _within(self.port, self.config.include_outbound_ports)
        return "outbound" if included or self.is_included_destination() else "direct"

    def is_included_destination(self) -> bool:
        included = self.config.include_outbound_cidrs
        return included is None or _covers(included, self.address)

    def source(self) -> str:
        """Who is seen: who calls itself, calls from where it calls."""
        if self.connection.source is not None:
            return self.connection.source
        if not self.to_itself:
            return self.family.pod
        return self.family.loopback if _is_loopback(self.address) else self.address

    def interface(self) -> str:
        return "net1" if self.address == self.family.guest else "eth0"

    def direct(self) -> str:
        """Who listens where the connection was sent."""
        place = "pod" if self.to_itself else "guest" if self.interface() == "net1" else "peer"
        for server in SERVERS:
            ports = server.tcp if self.tcp else server.udp
            if (server.owner.place == place and self.port in ports
                    and (server.hosts is ANY or self.address in server.hosts)):
                return f"{server.name}:{self.port}"
        return "refused"


def _pod_addresses() -> set[str]:
    return {address for family in (V4, V6) for address in
            (family.pod, family.guest_gateway, family.passthrough)}


def _is_loopback(address: str) -> bool:
    return ipaddress.ip_address(address).is_loopback


def _covers(networks: Sequence[Network], address: str) -> bool:
    parsed = ipaddress.ip_address(address)
    return any(parsed in network for network in networks)


def _within(number: int, ranges: Sequence[tuple[int, int]]) -> bool:
    return any(first <= number <= last for first, last in ranges)


def _ports(ranges: Sequence[tuple[int, int]]) -> str:
    return ",".join(str(first) if first == last else f"{first}-{last}" for first, last in ranges)


def _list(values: Sequence) -> str:
    return ",".join(str(value) for value in values)


def _selection(values: Optional[Sequence], text) -> str:
    return "*" if values is None else text(values)
