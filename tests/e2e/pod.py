# SPDX-License-Identifier: GPL-2.0-or-later
"""A throw-away pod: its network namespace, and a second one for the world around it."""

import atexit
import itertools
import os
import secrets
import subprocess
from dataclasses import dataclass

NETNS_DIRECTORY = "/run/netns"
IP_TIMEOUT_SECONDS = 20
POD_MAC = "0a:77:00:00:00:02"
PEER_MAC = "0a:77:00:00:00:01"

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
    loopback: str
    passthrough: str  # the source of the proxy's own connections to the application


V4 = Family(
    name="v4", pod="10.77.0.2", peer="10.77.0.1", prefix=24, default_route="0.0.0.0/0",
    outside="10.99.0.5", outside_apart="100.64.1.1", apart_range="100.0.0.0/8",
    loopback="127.0.0.1", passthrough="127.0.0.6",
)
V6 = Family(
    name="v6", pod="fd77::2", peer="fd77::1", prefix=64, default_route="::/0",
    outside="fd99::5", outside_apart="fd64::1", apart_range="fd64::/16",
    loopback="::1", passthrough="::6",
)


def endpoint(address: str, port: int) -> str:
    """The usual spelling of an address and port, with brackets around IPv6."""
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


class Pod:
    """A pod network as a runtime hands it to a chained plugin; made on entry, removed on exit."""

    ifname = "eth0"
    host_ifname = "veth0"

    def __init__(self, ipv4: bool = True, ipv6: bool = True):
        name = f"sluice-test-{os.getpid()}-{next(_numbers)}"
        self.families = [family for family, wanted in ((V4, ipv4), (V6, ipv6)) if wanted]
        self.container_id = secrets.token_hex(32)
        self._pod_name = name
        self._peer_name = f"{name}-peer"

    @property
    def netns(self) -> str:
        return f"{NETNS_DIRECTORY}/{self._pod_name}"

    @property
    def peer_netns(self) -> str:
        return f"{NETNS_DIRECTORY}/{self._peer_name}"

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
        """Deletes both namespaces; safe to call twice."""
        names = (self._peer_name, self._pod_name)
        present = [name for name in names if os.path.exists(f"{NETNS_DIRECTORY}/{name}")]
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
        _ip([
            f"netns add {self._pod_name}",
            f"netns add {self._peer_name}",
            f"link add name {self.ifname} address {POD_MAC} netns {self._pod_name}"
            f" type veth peer name {self.host_ifname} address {PEER_MAC} netns {self._peer_name}",
        ])
        _ip(self._peer_commands(), "-n", self._peer_name)
        _ip(self._pod_commands(), "-n", self._pod_name)

    def _peer_commands(self) -> list[str]:
        commands = _links_up(self.host_ifname)
        for family in self.families:
            commands.append(_address(family.peer, family.prefix, self.host_ifname))
            # The outside lives on the peer's loopback, so what is not redirected arrives there.
            commands += [_address(outside, 128 if family is V6 else 32, "lo")
                         for outside in (family.outside, family.outside_apart)]
        return commands

    def _pod_commands(self) -> list[str]:
        commands = _links_up(self.ifname)
        for family in self.families:
            commands.append(_address(family.pod, family.prefix, self.ifname))
            commands.append(f"route add {family.default_route} via {family.peer}")
        return commands


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
