# SPDX-License-Identifier: GPL-2.0-or-later
"""Who opens which connection around a pod, and the words for where it lands."""

from dataclasses import dataclass
from typing import Optional

from tests.e2e.pod import endpoint


@dataclass(frozen=True)
class Caller:
    """Who opens a connection: a process of the pod, of the peer or of the guest."""

    name: str
    uid: int
    gid: int
    place: str = "pod"


APP = Caller("app", 1000, 1000)
SIDECAR = Caller("sidecar", 1337, 1337)
SIDECAR_USER = Caller("sidecar (uid only)", 1337, 2000)
SIDECAR_GROUP = Caller("sidecar (gid only)", 2000, 1337)
# How Istio runs the sidecar in mode TPROXY.
SIDECAR_ROOT = Caller("sidecar (uid 0)", 0, 1337)
CLIENT = Caller("client", 1000, 1000, place="peer")
GUEST = Caller("guest", 1000, 1000, place="guest")


@dataclass(frozen=True)
class Connection:
    """A TCP connection, or a UDP query and its answer."""

    caller: Caller
    address: str  # ::ffff:a.b.c.d is dialled from an IPv6 socket
    port: int
    protocol: str = "tcp"
    source: Optional[str] = None
    source_port: int = 0
    mark: int = 0
    transparent: bool = False  # the source may be somebody else's address

    def title(self) -> str:
        source = [part for part in (self.source, self.source_port and f"port {self.source_port}")
                  if part]
        bound = f" from {' '.join(source)}" if source else ""
        marked = f" mark {self.mark}" if self.mark else ""
        return f"{self.caller.name}{bound}{marked} -> " \
               f"{endpoint(self.address, self.port)}/{self.protocol}"


@dataclass(frozen=True)
class Landing:
    """Where a connection landed, and what the one who accepted it saw."""

    place: str  # "sidecar:15001", or in a word what went wrong
    meant_for: Optional[str] = None  # None: for the place itself
    source: Optional[str] = None
    local: Optional[str] = None  # what the accepted socket takes for its own address

    def __str__(self) -> str:
        return redirected(self.place, self.meant_for) if self.meant_for else self.place


def redirected(place: str, meant_for: str) -> str:
    """The wording of a Landing of a connection that was meant for somewhere else."""
    return f"{place} (meant for {meant_for})"


def captured_outbound(address: str, port: int) -> str:
    """Where an outbound connection lands when it goes through the sidecar."""
    return redirected("sidecar:15001", endpoint(address, port))


def captured_inbound(address: str, port: int) -> str:
    """Where an inbound connection lands when it goes through the sidecar."""
    return redirected("sidecar:15006", endpoint(address, port))


def captured_dns(address: str, protocol: str) -> str:
    """Where a DNS query lands that the sidecar answers; a datagram does not say who was asked."""
    if protocol == "udp":
        return "sidecar:15053"
    return redirected("sidecar:15053", endpoint(address, 53))
