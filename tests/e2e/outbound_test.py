# SPDX-License-Identifier: GPL-2.0-or-later
"""Where connections of the pod's processes land, setting by setting."""

from tests.e2e.pod import V4, V6, Family
from tests.e2e.rows import row
from tests.e2e.scenario import (ISTIO, REDIRECT, SLUICE, TPROXY, Scenario, ScenarioCase, of_both,
                                tests_of)
from tests.e2e.traffic import (APP, SIDECAR, SIDECAR_GROUP, SIDECAR_ROOT, SIDECAR_USER, Caller,
                               captured_inbound, captured_outbound)

BATCH = Caller("batch", 2000, 3000)
INIT = Caller("init container", 4201, 4201)
OTHER_SIDECAR = Caller("second sidecar", 1338, 1338)


def out(why: str, family: Family, port: int, caller: Caller = APP, address: str = "", **more):
    """An outbound connection that the sidecar gets."""
    to = address or family.outside
    return row(why, caller, to, port, captured_outbound(to, port), **more)


def past(why: str, family: Family, port: int, caller: Caller = APP, address: str = "", **more):
    """An outbound connection that reaches its destination."""
    return row(why, caller, address or family.outside, port, f"outside:{port}", **more)


@tests_of(
    Scenario("everything", lambda f: [
        out("the app's", f, 80),
        out("to a port of the sidecar elsewhere", f, 15008),
        past("a datagram is left alone", f, 443, protocol="udp"),
        past("the sidecar passes, as the pod", f, 80, SIDECAR, seen=f.pod),
        past("its uid is enough", f, 80, SIDECAR_USER),
        past("its gid is enough", f, 80, SIDECAR_GROUP),
        past("as TPROXY runs it", f, 80, SIDECAR_ROOT),
        row("the source stays what it was", APP, f.outside, 443, captured_outbound(f.outside, 443),
            seen=f.pod),
        past("the port that Istio excludes by default", f, 15020),
    ]),
    Scenario("excluded ports", lambda f: [
        past("a port", f, 443), past("first of a range", f, 8000), past("last of it", f, 8100),
        out("beyond it", f, 8101), past("the last port there is", f, 65535), out("another", f, 80),
        past("no default where something is excluded", f, 8050),
        out("what was only the default", f, 15020),
    ], {"excludeOutboundPorts": "443,8000-8100,65535"}),
    Scenario("included ports are added to ranges", lambda f: [
        out("a port", f, 443), out("in a range of ports", f, 8050), past("another", f, 80),
        out("in an included range", f, 80, address=f.outside_apart),
    ], {"includeOutboundPorts": "443,8000-8100", "includeOutboundCidrs": of_both("apart_range")}),
    Scenario("included ports do not restrict everything", lambda f: [
        out("a port", f, 443), out("another", f, 80),
    ], {"includeOutboundPorts": "443"}),
    Scenario("excluded port beats included port", lambda f: [
        past("in both lists", f, 443), out("only included", f, 80),
    ], {"includeOutboundPorts": "80,443", "includeOutboundCidrs": "",
        "excludeOutboundPorts": "443"}),
    Scenario("excluded ranges", lambda f: [
        past("within", f, 80, address=f.outside_apart), out("beyond", f, 80),
    ], {"excludeOutboundCidrs": of_both("apart_range")}),
    Scenario("excluded range within included", lambda f: [
        past("excluded", f, 80, address=f.outside_apart), out("included", f, 80),
    ], {"includeOutboundCidrs": "0.0.0.0/0,::/0", "excludeOutboundCidrs": of_both("apart_range")}),
    Scenario("included range within excluded", lambda f: [
        past("exclusion wins", f, 80, address=f.outside_apart), past("neither", f, 80),
    ], {"includeOutboundCidrs": of_both("apart_range"), "excludeOutboundCidrs": "0.0.0.0/0,::/0"}),
    Scenario("included ranges", lambda f: [
        out("within", f, 80, address=f.outside_apart), past("beyond", f, 80),
        out("sidecars' exemption does not depend on them", f, 443, address=f.outside_apart),
        past("the sidecar", f, 443, SIDECAR, address=f.outside_apart),
    ], {"includeOutboundCidrs": of_both("apart_range")}),
    Scenario("no range", lambda f: [
        past("nothing is captured", f, 80), past("no port", f, 443),
    ], {"includeOutboundCidrs": ""}),
    Scenario("ranges of one family leave the other alone", lambda f: [
        (out if f is V4 else past)("only IPv4 is listed", f, 80),
    ], {"includeOutboundCidrs": "0.0.0.0/0"}),
    Scenario("users", lambda f: [
        past("an init container, before any sidecar", f, 80, INIT),
        past("a uid beyond 16 bits", f, 80, Caller("openshift", 1000650000, 0)),
        out("its neighbour", f, 80, Caller("openshift", 1000650001, 0)),
        past("a uid in a range", f, 80, Caller("ranged", 2050, 1)),
        out("beyond the range", f, 80, Caller("beyond", 2101, 1)),
        out("the app", f, 80),
    ], {"excludeOutboundForUids": "::4201;::1000650000;::2000-2100"}),
    Scenario("users by protocol and port", lambda f: [
        past("that user, that port", f, 443, BATCH), past("in the range", f, 8050, BATCH),
        out("that user, another port", f, 80, BATCH),
        out("another user, that port", f, 443),
    ], {"excludeOutboundForUids": "tcp:443,8000-8100:2000;udp::999"}),
    Scenario("excluded groups", lambda f: [
        past("excluded", f, 80, BATCH), out("not excluded", f, 80),
    ], {"excludeOwnerGroups": "3000,3001"}),
    Scenario("included groups", lambda f: [
        out("included", f, 80, BATCH), past("not included", f, 80),
        past("the sidecar is nobody's group", f, 80, SIDECAR),
    ], {"includeOwnerGroups": "3000,3001"}),
    Scenario("64 included groups", lambda f: [
        out("the first", f, 80, BATCH), out("the last", f, 80, Caller("last", 2000, 3063)),
        past("the next", f, 80, Caller("next", 2000, 3064)),
    ], {"includeOwnerGroups": ",".join(str(gid) for gid in range(3000, 3064))}),
    Scenario("another sidecar identity", lambda f: [
        past("this is it", f, 80, Caller("other", 4321, 4321)),
        out("1337 is nobody", f, 80, SIDECAR),
    ], {"proxyUid": "4321", "proxyGid": "4321"}),
    Scenario("several sidecar identities", lambda f: [
        past("the first", f, 80, SIDECAR), past("the second", f, 80, OTHER_SIDECAR),
        out("neither", f, 80),
    ], {"proxyUid": "1337,1338", "proxyGid": "1337,1338"}),
    Scenario("excluded interface", lambda f: [
        past("goes out over it", f, 80),
        row("another interface is captured", APP, f.guest, 8080, captured_outbound(f.guest, 8080)),
    ], {"excludeInterfaces": "eth0"}),
    Scenario("excluded second interface", lambda f: [
        out("goes out over the first", f, 80),
        row("over the second", APP, f.guest, 8080, "guest:8080"),
    ], {"excludeInterfaces": "net1"}),
    Scenario("an IPv4 destination from an IPv6 socket", lambda f: [
        row("mapped", APP, f"::ffff:{f.outside}", 80, captured_outbound(f.outside, 80)),
        row("mapped, from the sidecar", SIDECAR, f"::ffff:{f.outside}", 80, "outside:80"),
        row("mapped and excluded", APP, f"::ffff:{f.outside_apart}", 80, "outside:80"),
    ], {"excludeOutboundCidrs": of_both("apart_range")}, tested=[V4]),
)
class OutboundTest(ScenarioCase):
    """To the world."""


@tests_of(
    Scenario("the app to itself", lambda f: [
        row("over loopback", APP, f.loopback, 8080, "app:8080"),
        row("to its own address", APP, f.pod, 8080, "app:8080"),
        row("from its own address", APP, f.pod, 8080, "app:8080", source=f.pod),
        row("to a port of the sidecar", APP, f.loopback, 15008, "sidecar:15008"),
        row("where nobody listens", APP, f.loopback, 7, "refused"),
    ]),
    Scenario("the app to its own service", lambda f: [
        out("to its virtual address", f, 8080),
        row("the sidecar to the pod that it chose", SIDECAR, f.pod, 8080,
            captured_inbound(f.pod, 8080)),
        row("where nobody listens", SIDECAR, f.pod, 7, captured_inbound(f.pod, 7)),
        row("and on to the app", SIDECAR, f.pod, 8080, "app:8080", source=f.passthrough,
            seen=f.passthrough),
        row("or over loopback", SIDECAR, f.loopback, 8080, "app:8080"),
        row("or over loopback with that source", SIDECAR, f.loopback, 8080, "app:8080",
            source=f.passthrough),
    ]),
    Scenario("the sidecar to a tunnel in its own pod", lambda f: [
        row("its own listener", SIDECAR, f.pod, 15008, "sidecar:15008"),
    ], modes=[REDIRECT]),
    Scenario("the mended sidecar to a tunnel in its own pod", lambda f: [
        row("its own listener", SIDECAR, f.pod, 15008, "sidecar:15008"),
    ], modes=[TPROXY], layouts=[SLUICE]),
    Scenario("a loopback range is included", lambda f: [
        row("the app to loopback", APP, f.loopback, 8080,
            "app:8080"),
        row("to another loopback address", APP, "127.0.0.2", 8080,
            captured_outbound("127.0.0.2", 8080)) if f is V4 else
        row("to its own address", APP, f.pod, 8080, captured_outbound(f.pod, 8080)),
        row("the sidecar still passes", SIDECAR, f.loopback, 8080, "app:8080"),
    ], {"includeOutboundCidrs": f"127.0.0.0/8,::1/128,{V6.pod}/128"}, modes=[REDIRECT]),
    Scenario("another IPv4 loopback range", lambda f: [
        row("a sidecar's call to loopback", SIDECAR, "127.0.0.9", 8080, "app:8080"),
        row("a sidecar's call to the pod", SIDECAR, f.pod, 8080, captured_inbound(f.pod, 8080)),
    ], {"ipv4LoopbackCidr": "127.0.0.0/8"}, tested=[V4]),
    Scenario("the usual IPv4 loopback range", lambda f: [
        row("a sidecar's call to another loopback address", SIDECAR, "127.0.0.9", 8080,
            captured_inbound("127.0.0.9", 8080)),
    ], tested=[V4], modes=[REDIRECT]),
)
class SelfTest(ScenarioCase):
    """To the pod itself."""


@tests_of(
    Scenario("uid and gid", lambda f: [
        row("both", SIDECAR, f.pod, 8080, captured_inbound(f.pod, 8080)),
        row("uid alone", SIDECAR_USER, f.pod, 8080, captured_inbound(f.pod, 8080)),
    ]),
    Scenario("gid alone goes past the sidecar in Istio's order", lambda f: [
        row("gid alone", SIDECAR_ROOT, f.pod, 8080, "app:8080"),
    ], modes=[REDIRECT], layouts=[ISTIO]),
    Scenario("gid alone is brought back by its mark", lambda f: [
        row("gid alone", SIDECAR_ROOT, f.pod, 8080, captured_inbound(f.pod, 8080)),
    ], modes=[TPROXY], layouts=[ISTIO]),
    Scenario("gid alone is enough", lambda f: [
        row("gid alone", SIDECAR_ROOT, f.pod, 8080, captured_inbound(f.pod, 8080)),
        row("with any uid", SIDECAR_GROUP, f.pod, 8080, captured_inbound(f.pod, 8080)),
    ], layouts=[SLUICE]),
    Scenario("the first of several uids shadows the second in Istio's order", lambda f: [
        row("the first", SIDECAR, f.pod, 8080, captured_inbound(f.pod, 8080)),
        row("the second", OTHER_SIDECAR, f.pod, 8080, "app:8080"),
    ], {"proxyUid": "1337,1338"}, modes=[REDIRECT], layouts=[ISTIO]),
    Scenario("several uids do not shadow each other", lambda f: [
        row("the first", SIDECAR, f.pod, 8080, captured_inbound(f.pod, 8080)),
        row("the second", OTHER_SIDECAR, f.pod, 8080, captured_inbound(f.pod, 8080)),
        row("neither", APP, f.pod, 8080, "app:8080"),
    ], {"proxyUid": "1337,1338"}, layouts=[SLUICE]),
)
class IdentityTest(ScenarioCase):
    """By what a sidecar is known that calls its own pod."""
