# SPDX-License-Identifier: GPL-2.0-or-later
"""A throw-away pod: its network namespace, and a second one for the world around it."""

import atexit
import itertools
import os
import secrets
import subprocess
from dataclasses import dataclass
from typing import Sequence

NETNS_DIRECTORY = "/run/netns"
IP_TIMEOUT_SECONDS = 20
POD_MAC = "0a:77:00:00:00:02"
PEER_MAC = "0a:77:00:00:00:01"
GUEST_MAC = "0a:78:00:00:00:02"

_numbers = itertools.count(1)


@dataclass(frozen=True)
class Family:
    """The addresses of one IP family in the test network."""

    name: str
    pod: str
    peer: str
    prefix: int
    default_route: str
    outside: str  # a destination beyond the pod, captured unless a row says otherwise
    outside_apart: str  # another one, in apart_range
    apart_range: str
    resolver: str  # a name server beyond the pod
    other_resolver: str
    local_resolver: str  # a name server on the pod's own loopback
    loopback: str
    passthrough: str  # the source of the proxy's own connections to the application
    guest: str  # behind the pod's second interface
    guest_gateway: str


V4 = Family(
    name="v4", pod="10.77.0.2", peer="10.77.0.1", prefix=24, default_route="0.0.0.0/0",
    outside="10.99.0.5", outside_apart="100.64.1.1", apart_range="100.0.0.0/8",
    resolver="10.99.0.53", other_resolver="10.99.0.54", local_resolver="127.0.0.11",
    loopback="127.0.0.1", passthrough="127.0.0.6",
    guest="10.78.0.2", guest_gateway="10.78.0.1",
)
V6 = Family(
    name="v6", pod="fd77::2", peer="fd77::1", prefix=64, default_route="::/0",
    outside="fd99::5", outside_apart="fd64::1", apart_range="fd64::/16",
    resolver="fd99::53", other_resolver="fd99::54", local_resolver="::1",
    loopback="::1", passthrough="::6",
    guest="fd78::2", guest_gateway="fd78::1",
)


def endpoint(address: str, port: int) -> str:
    """The usual spelling of an address and port, with brackets around IPv6."""
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


BOTH = (V4, V6)


class Pod:
    """A pod network as a runtime hands it to a chained plugin; made on entry, removed on exit.

    With a guest, a third namespace is behind a second interface, and the pod forwards for it: a
    virtual machine, as far as packets can tell.
    """

    ifname = "eth0"
    host_ifname = "veth0"
    guest_ifname = "net1"

    def __init__(self, families: Sequence[Family] = BOTH, guest: bool = False):
        name = f"sluice-test-{os.getpid()}-{next(_numbers)}"
        self.families = list(families)  # the pod's first address is of the first one
        self.guest = guest
        self.container_id = secrets.token_hex(32)
        self._names = {place: f"{name}-{place}" for place in ("pod", "peer", "guest")}

    @property
    def netns(self) -> str:
        return self.netns_of("pod")

    def netns_of(self, place: str) -> str:
        """The namespace of the pod, of its peer or of its guest."""
        return f"{NETNS_DIRECTORY}/{self._names[place]}"

    @property
    def addresses(self) -> list[str]:
        return [f"{family.pod}/{family.prefix}" for family in self.families]

    def __enter__(self) -> "Pod":
        if os.geteuid() != 0:
            raise PermissionError("a test pod needs root: it makes network namespaces")
        # unittest skips its clean-ups on Ctrl-C; the interpreter's exit does not.
        atexit.register(self.remove)
        try:
            self._make()
        except BaseException:
            self.remove()
            raise
        return self

    def __exit__(self, *_exception) -> None:
        self.remove()

    def remove(self) -> None:
        """Deletes the namespaces; safe to call twice."""
        present = [name for name in self._names.values()
                   if os.path.exists(f"{NETNS_DIRECTORY}/{name}")]
        if present:
            _ip([f"netns del {name}" for name in present], "-force")
        atexit.unregister(self.remove)

    def prev_result(self, cni_version: str) -> dict:
        """The result of the main plugin, in the shape containerd passes on."""
        # Before 1.0.0 each address also carried the number of its family.
        old = cni_version.startswith("0.")
        return {
            "cniVersion": cni_version,
            "dns": {},
            "interfaces": [
                {"mac": PEER_MAC, "name": self.host_ifname},
                {"mac": POD_MAC, "name": self.ifname, "sandbox": self.netns},
            ],
            "ips": [
                {
                    "address": f"{family.pod}/{family.prefix}",
                    "gateway": family.peer,
                    "interface": 1,
                    **({"version": family.name[1:]} if old else {}),
                }
                for family in self.families
            ],
            "routes": [{"dst": family.default_route} for family in self.families],
        }

    def _make(self) -> None:
        pod, peer, guest = self._names["pod"], self._names["peer"], self._names["guest"]
        wires = [
            f"netns add {pod}",
            f"netns add {peer}",
            f"link add name {self.ifname} address {POD_MAC} netns {pod}"
            f" type veth peer name {self.host_ifname} address {PEER_MAC} netns {peer}",
        ]
        if self.guest:
            wires += [
                f"netns add {guest}",
                f"link add name {self.guest_ifname} netns {pod}"
                f" type veth peer name eth0 address {GUEST_MAC} netns {guest}",
            ]
        _ip(wires)
        _ip(self._peer_commands(), "-n", peer)
        _ip(self._pod_commands(), "-n", pod)
        if self.guest:
            _ip(self._guest_commands(), "-n", guest)

    def _peer_commands(self) -> list[str]:
        commands = _links_up(self.host_ifname)
        for family in self.families:
            commands.append(_address(family.peer, family.prefix, self.host_ifname))
            # The outside lives on the peer's loopback, so what is not redirected arrives there.
            commands += [_address(outside, _host_prefix(family), "lo")
                         for outside in (family.outside, family.outside_apart, family.resolver,
                                         family.other_resolver)]
            if self.guest:
                commands += [
                    f"route add {family.guest}/{_host_prefix(family)} via {family.pod}",
                    f"neigh add {family.pod} lladdr {POD_MAC} dev {self.host_ifname}",
                ]
        return commands

    def _pod_commands(self) -> list[str]:
        commands = _links_up(self.ifname)
        if self.guest:
            commands += _links_up(self.guest_ifname)
        for family in self.families:
            commands.append(_address(family.pod, family.prefix, self.ifname))
            commands.append(f"route add {family.default_route} via {family.peer}")
            if self.guest:
                commands.append(_address(family.guest_gateway, family.prefix, self.guest_ifname))
                # Without link-local addresses nobody is asked on behalf of others.
                commands += [
                    f"neigh add {family.peer} lladdr {PEER_MAC} dev {self.ifname}",
                    f"neigh add {family.guest} lladdr {GUEST_MAC} dev {self.guest_ifname}",
                ]
        return commands

    def _guest_commands(self) -> list[str]:
        commands = _links_up("eth0")
        for family in self.families:
            commands.append(_address(family.guest, family.prefix, "eth0"))
            commands.append(f"route add {family.default_route} via {family.guest_gateway}")
        return commands


def _host_prefix(family: Family) -> int:
    return 128 if family is V6 else 32


def _links_up(ifname: str) -> list[str]:
    # Without link-local addresses there is no duplicate detection to wait for.
    return ["link set lo up", f"link set {ifname} addrgenmode none", f"link set {ifname} up"]


def _address(address: str, prefix: int, ifname: str) -> str:
    nodad = " nodad" if ":" in address else ""
    return f"addr add {address}/{prefix} dev {ifname}{nodad}"


def _ip(commands: list[str], *options: str) -> None:
    # A session of its own: Ctrl-C must not stop the program half way through a batch.
    done = subprocess.run(
        ["ip", *options, "-batch", "-"], input="\n".join(commands) + "\n", text=True,
        capture_output=True, timeout=IP_TIMEOUT_SECONDS, start_new_session=True, check=False,
    )
    if done.returncode != 0 and "-force" not in options:
        raise RuntimeError(f"ip -batch failed: {done.stderr.strip()}\n" + "\n".join(commands))
