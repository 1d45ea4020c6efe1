# SPDX-License-Identifier: GPL-2.0-or-later
"""Where connections into the pod land, setting by setting."""

from tests.e2e.pod import V6, Family, endpoint
from tests.e2e.rows import row
from tests.e2e.scenario import (ISTIO, REDIRECT, SLUICE, TPROXY, Scenario, ScenarioCase, flags,
                                of_both, tests_of)
from tests.e2e.traffic import (CLIENT, SIDECAR, SIDECAR_ROOT, Connection, captured_inbound)


def into(why: str, family: Family, port: int, **more):
    """An inbound connection that the sidecar gets, its source unchanged."""
    return row(why, CLIENT, family.pod, port, captured_inbound(family.pod, port),
               seen=more.get("source", family.peer), **more)


def straight(why: str, family: Family, port: int, **more):
    """An inbound connection that reaches the app."""
    return row(why, CLIENT, family.pod, port, f"app:{port}", **more)


@tests_of(
    Scenario("everything", lambda f: [
        into("a port of the app", f, 8080), into("ssh", f, 22),
        into("where nobody listens", f, 7),
        straight("a port of the sidecar", f, 15020), straight("its health", f, 15021),
        straight("its metrics", f, 15090),
        straight("a datagram is left alone", f, 443, protocol="udp"),
        into("the source is the client's", f, 80, source=f.outside),
    ]),
    Scenario("excluded ports", lambda f: [
        straight("a port", f, 22), straight("first of a range", f, 8000),
        straight("last of it", f, 8100), into("beyond it", f, 8101),
        straight("the last port there is", f, 65535), straight("always excluded", f, 15021),
    ], {"excludeInboundPorts": "22,8000-8100,65535"}),
    Scenario("included ports", lambda f: [
        into("a port", f, 8080), into("in a range", f, 8050), straight("another", f, 9090),
        straight("the next", f, 8101),
    ], {"includeInboundPorts": "8080,8000-8100"}),
    Scenario("included port beats excluded port", lambda f: [
        into("in both lists", f, 8080), straight("in neither", f, 9090),
    ], {"includeInboundPorts": "8080", "excludeInboundPorts": "8080"}),
    Scenario("no port", lambda f: [
        straight("nothing is captured", f, 8080), straight("no port", f, 22),
        row("the tunnel port is open", CLIENT, f.pod, 15008, "sidecar:15008"),
    ], {"includeInboundPorts": ""}),
    Scenario("excluded sources", lambda f: [
        straight("within", f, 8080, source=f.outside_apart),
        into("beyond", f, 8080), into("another source", f, 8080, source=f.outside),
    ], {"excludeInboundCidrs": of_both("apart_range")}),
    Scenario("all sources excluded", lambda f: [
        straight("anybody", f, 8080), straight("from anywhere", f, 8080, source=f.outside),
    ], {"excludeInboundCidrs": "0.0.0.0/0,::/0"}),
    Scenario("excluded sources beat included ports", lambda f: [
        straight("within", f, 8080, source=f.outside_apart), into("beyond", f, 8080),
    ], {"includeInboundPorts": "8080", "excludeInboundCidrs": of_both("apart_range")}),
    Scenario("excluded interface", lambda f: [
        straight("arrives over it", f, 8080),
    ], {"excludeInterfaces": "eth0"}),
    Scenario("another interface is excluded", lambda f: [
        into("arrives over the first", f, 8080),
    ], {"excludeInterfaces": "net1"}),
    Scenario("tunnel", lambda f: [
        row("the sidecar's own", CLIENT, f.pod, 15008, "sidecar:15008"),
    ], modes=[REDIRECT]),
    Scenario("tunnel captured by Istio", lambda f: [
        row("a fault of Istio", CLIENT, f.pod, 15008, captured_inbound(f.pod, 15008)),
    ], modes=[TPROXY], layouts=[ISTIO]),
    Scenario("tunnel mended", lambda f: [
        row("the sidecar's own", CLIENT, f.pod, 15008, "sidecar:15008"),
    ], modes=[TPROXY], layouts=[SLUICE]),
)
class InboundTest(ScenarioCase):
    """From the world."""


@tests_of(
    Scenario("the sidecar calls the app as the client", lambda f: [
        into("the sidecar sees who calls", f, 8080),
        row("the app sees it too, and its answer comes back", SIDECAR_ROOT, f.pod, 8080,
            "app:8080", source=f.peer, mark=1337, transparent=True, seen=f.peer),
        row("any client", SIDECAR_ROOT, f.pod, 8080, "app:8080", source=f.outside, mark=1337,
            transparent=True, seen=f.outside),
        row("over loopback as before", SIDECAR_ROOT, f.loopback, 8080, "app:8080"),
        row("from the usual source as before", SIDECAR_ROOT, f.pod, 8080, "app:8080",
            source=f.passthrough, seen=f.passthrough),
    ], modes=[TPROXY]),
    Scenario("the sidecar known by its uid calls the app as the client", lambda f: [
        row("the app sees who calls", SIDECAR, f.pod, 8080, "app:8080", source=f.peer, mark=1337,
            transparent=True, seen=f.peer),
    ], modes=[TPROXY], layouts=[SLUICE]),
    Scenario("a sidecar known by its uid gets back to itself in Istio's order", lambda f: [
        row("not the app", SIDECAR, f.pod, 8080, captured_inbound(f.pod, 8080), source=f.peer,
            mark=1337, transparent=True),
    ], modes=[TPROXY], layouts=[ISTIO], tested=[V6]),
    Scenario("another mark and table", lambda f: [
        into("inbound", f, 8080),
        row("the app sees who calls", SIDECAR_ROOT, f.pod, 8080, "app:8080", source=f.peer,
            mark=77, transparent=True, seen=f.peer),
    ], {"tproxyMark": "77", "tproxyTable": "201"}, modes=[TPROXY]),
)
class SourceTest(ScenarioCase):
    """Mode TPROXY: the source survives up to the app."""

    def test_without_the_mark_the_answer_goes_astray(self):
        """What the mark is for: the app would answer the client itself."""
        pod = self.redirected(["--ipv6=always", "--interception-mode=REDIRECT"])
        for family in pod.families:
            connection = Connection(SIDECAR_ROOT, family.pod, 8080, source=family.peer,
                                    transparent=True)
            self.assertEqual("timeout", str(pod.land(connection)))

    def test_what_the_sidecars_socket_takes_for_its_address(self):
        """TPROXY changes nothing; REDIRECT puts the pod's first address and the listener's port."""
        for mode, port in ((TPROXY, 8080), (REDIRECT, 15006)):
            pod = self.redirected(flags({"ipv6": "always", "interceptionMode": mode}))
            for family in pod.families:
                landing = pod.land(Connection(CLIENT, family.pod, 8080))
                self.assertEqual(endpoint(family.pod, port), landing.local)
                self.assertEqual(captured_inbound(family.pod, 8080), str(landing))
