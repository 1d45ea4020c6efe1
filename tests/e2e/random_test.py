# SPDX-License-Identifier: GPL-2.0-or-later
"""Random configurations and connections: the reference evaluator against real packets.

SLUICE_SEED repeats a run, SLUICE_CASES sets how many configurations it has.
"""

import dataclasses
import ipaddress
import os
import random
import secrets
import shlex
import sys
from typing import Iterable, Optional

from tests.e2e import evaluator
from tests.e2e.evaluator import Config, UserExclusion
from tests.e2e.live import LivePod
from tests.e2e.pod import V4, V6
from tests.e2e.scenario import ISTIO, REDIRECT, SLUICE, TPROXY, ScenarioCase, flags
from tests.e2e.traffic import CLIENT, GUEST, Caller, Connection

CASES = int(os.environ.get("SLUICE_CASES", "500"))
CONNECTIONS = 24
REPORTED = 5

PORTS = (7, 22, 53, 80, 443, 5432, 8000, 8050, 8100, 8101, 8443, 9090, 15001, 15006, 15008, 15020,
         15021, 15090, 65535)
UDP_PORTS = (53, 53, 80, 443, 8050)  # somebody listens everywhere: refusals are rate-limited
RANGES = ((1, 65535), (1, 79), (80, 443), (8000, 8100), (8101, 65535), (15000, 15100))
UIDS = (0, 999, 1000, 1337, 1338, 2000, 1000650000)
GIDS = (0, 999, 1000, 1337, 1338, 3000)
NETWORKS = ("0.0.0.0/0", "::/0", "10.0.0.0/8", "10.77.0.0/16", "10.77.0.2/32", "10.99.0.5/32",
            "10.99.0.53/32", "100.0.0.0/8", "fd00::/8", "fd77::/64", "fd77::2/128", "fd99::5/128",
            "fd99::53/128", "fd64::/16", "10.78.0.0/24", "fd78::/64")


class Draw(random.Random):
    """Parts of a configuration. Each setting is often left as it is, so that no exclusion hides
    all others."""

    def maybe(self, value, otherwise, chance: float = 0.35):
        return value if self.random() < chance else otherwise

    def some(self, values, most: int = 3) -> tuple:
        return tuple(self.sample(values, self.randint(1, most)))

    def ports(self) -> tuple:
        return tuple(self.choice(RANGES) if self.random() < 0.3 else (port, port)
                     for port in self.some(PORTS))

    def networks(self) -> tuple:
        return tuple(ipaddress.ip_network(text) for text in self.some(NETWORKS))

    def included_networks(self) -> Optional[tuple]:
        loopback = self.maybe(tuple(map(ipaddress.ip_network, ("127.0.0.0/8", "::1/128"))), (), 0.1)
        return self.maybe(self.maybe((), self.networks(), 0.2) + loopback, None)

    def exclusion(self) -> UserExclusion:
        protocol = self.choice(("", "tcp", "udp"))
        users = apart((uid, uid + self.maybe(100, 0)) for uid in self.some(UIDS, 2))
        scoped = protocol and self.random() < 0.6
        return UserExclusion(protocol, apart(self.ports()) if scoped else (), users)

    def exclusions(self) -> tuple:
        return tuple(self.exclusion() for _ in range(self.randint(1, 2)))

    def identities(self) -> tuple[tuple, tuple]:
        """UIDs and GIDs of a sidecar, the test's own among them."""
        uids = self.maybe(self.some(UIDS[1:], 2), (1337,))
        gids = self.maybe(self.some(GIDS[1:], 2), (1337,))
        return uids, gids if 1337 in (*uids, *gids) else (*gids, 1337)

    def groups(self) -> dict:
        if self.random() < 0.15:
            return {"include_owner_groups": self.some(GIDS)}
        return {"exclude_owner_groups": self.maybe(self.some(GIDS), ())}

    def dns(self) -> dict:
        capture = self.choice(("off", "all", "resolvers"))
        resolvers = (V4.resolver, V6.resolver, V4.local_resolver, V6.local_resolver)
        return {"dns_capture": capture,
                "resolvers": self.some(resolvers) if capture == "resolvers" else ()}


def random_config(draw: Draw) -> Config:
    uids, gids = draw.identities()
    return Config(
        layout=draw.choice((ISTIO, SLUICE)),
        mode=draw.choice((REDIRECT, TPROXY)),
        ipv6=draw.choice(("always", "always", "always", "always", "block", "never")),
        proxy_uids=uids,
        proxy_gids=gids,
        include_inbound_ports=draw.maybe(draw.maybe((), draw.ports(), 0.2), None),
        exclude_inbound_ports=draw.maybe(draw.ports(), None),
        exclude_inbound_cidrs=draw.maybe(draw.networks(), (), 0.2),
        include_outbound_ports=draw.maybe(draw.ports(), ()),
        exclude_outbound_ports=draw.maybe(draw.ports(), None),
        include_outbound_cidrs=draw.included_networks(),
        exclude_outbound_cidrs=draw.maybe(draw.networks(), ()),
        exclude_outbound_for_uids=draw.maybe(draw.exclusions(), ()),
        exclude_interfaces=draw.maybe(draw.some(("eth0", "net1", "net9"), 2), (), 0.15),
        virtual_interfaces=draw.maybe(("net1",), (), 0.5),
        ipv4_loopback=draw.maybe("127.0.0.0/8", "127.0.0.1/32", 0.1),
        **draw.groups(),
        **draw.dns(),
    )


def random_connection(choice: Draw, config: Config) -> Connection:
    family = choice.choice((V4, V6))
    protocol = choice.choice(("tcp", "tcp", "tcp", "udp"))
    port = choice.choice(UDP_PORTS if protocol == "udp" else PORTS)
    kind = choice.random()
    if kind < 0.25:
        source = choice.choice((family.peer, family.outside, family.outside_apart))
        return Connection(CLIENT, family.pod, port, protocol, source)
    beyond = (family.outside, family.outside_apart, family.resolver, family.other_resolver)
    if kind < 0.4 and config.virtual_interfaces and guests_are_told(config):
        return Connection(GUEST, choice.choice((*beyond, family.guest_gateway)), port, protocol)
    caller = Caller("process", choice.choice(UIDS), choice.choice(GIDS))
    own = (family.pod, family.guest_gateway, family.loopback, family.local_resolver)
    address = choice.choice((*beyond, family.guest, *own, *own))
    source: Optional[str] = None
    if address in own and choice.random() < 0.2:
        source = V4.passthrough if family is V4 else None
    if family is V4 and address not in own and choice.random() < 0.2:
        address = f"::ffff:{address}"
    return Connection(caller, address, port, protocol, source)


def guests_are_told(config: Config) -> bool:
    """Whether guests are told from clients: not in mode TPROXY in Istio's order, and what blocking
    a guest's family means there nobody has said."""
    return config.layout == SLUICE or (config.mode == REDIRECT and config.ipv6 != "block")


def apart(ranges: Iterable[tuple[int, int]]) -> tuple:
    """Without what overlaps an earlier one: a scoped exclusion that does is refused."""
    kept: list[tuple[int, int]] = []
    for first, last in ranges:
        if all(last < begin or end < first for begin, end in kept):
            kept.append((first, last))
    return tuple(kept)


class RandomTest(ScenarioCase):
    """The policy as the evaluator understands it is what packets meet."""

    def test_random_configurations(self):
        seed = os.environ.get("SLUICE_SEED") or secrets.token_hex(4)
        print(f"random_test: SLUICE_SEED={seed}, {CASES} configurations", file=sys.stderr)
        pod = self.pod()
        self.addCleanup(self.sluice, "remove", pod)
        complaints: list[str] = []
        for number in range(CASES):
            choice = Draw(f"{seed}/{number}")
            config = random_config(choice)
            connections = [random_connection(choice, config) for _ in range(CONNECTIONS)]
            # On top of what the previous configuration wrote.
            self.sluice("apply", pod, *flags(config.settings()))
            complaints += self.differences(pod, config, connections, f"{seed}, case {number}")
            if len(complaints) >= REPORTED:
                break
        self.assertEqual([], complaints, "\n" + "\n\n".join(complaints[:REPORTED]))

    def test_it_notices_other_rules(self):
        """A comparison that never complains would prove nothing."""
        pod = self.pod()
        self.addCleanup(self.sluice, "remove", pod)
        config = Config()
        self.sluice("apply", pod, *flags(config.settings()))
        connection = Connection(Caller("app", 1000, 1000), V4.outside, 80)
        self.assertEqual([], self.differences(pod, config, [connection], ""))
        other = dataclasses.replace(config, exclude_outbound_ports=((80, 80),))
        self.assertEqual(1, len(self.differences(pod, other, [connection], "")))

    def differences(self, pod: LivePod, config: Config, connections: list[Connection],
                    case: str) -> list[str]:
        pod.namespace().forget_connections()
        complaints = []
        for connection, landed in zip(connections, pod.land_all(connections)):
            expected, got = evaluator.landing(config, connection), str(landed)
            if got == _without_port_of_its_own(expected):
                got = expected
            if expected == got and landed.source and connection.source not in (None, landed.source):
                got = f"{got}, from {landed.source}"
            if expected != got:
                caller = connection.caller
                complaints.append(
                    f"seed {case}\n  sluice apply {shlex.join(flags(config.settings()))}\n"
                    f"  {connection.title()} by {caller.uid}:{caller.gid}\n"
                    f"  expected {expected}\n  got      {got}")
        return complaints


def _without_port_of_its_own(place: str) -> str:
    """Who is sent to the listener's own port may look as if nothing had been redirected."""
    listener, _, meant_for = place.partition(" (meant for ")
    return listener if meant_for.endswith(f":{listener.rpartition(':')[2]})") else place
