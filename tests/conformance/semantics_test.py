# SPDX-License-Identifier: GPL-2.0-or-later
"""What DEL, CHECK, GC and STATUS mean: A-162 to A-185."""

import threading

from tests.conformance.cases import case
from tests.conformance.conformance import BACKEND, SLOWER, ConformanceCase, ours, plain, state
from tests.protocol import runtime
from tests.protocol.fake_agent import Agent, Deaf, hang, nowhere
from tests.protocol.netconf import ABSENT, STATUS, V4, V6, injected
from tests.protocol.process_test import CLOSED_STDOUT

VALID, OLDER = "cni.dev/valid-attachments", "cni.dev/attachments"
NOT_ATTACHMENTS = ({}, "x", 5, True, [{"containerID": 5}], [{"ifname": []}], ["x"], [[]])
NOTHING_IN_IT = (None, [], [None], [{}], [{"containerId": "c", "IfName": "e"}], [{"containerID": "c"}])
LATER_PLUGINS = ("link set eth0 mtu 1400", "link set eth0 address 02:00:00:00:00:01", "link set eth0 promisc on",
                 "route add 192.0.2.0/24 dev eth0", "addr add 10.9.0.1/32 dev eth0")  # fmt: skip


def attachments(*pods):
    return [{"containerID": runtime.CONTAINER_ID, "ifname": "eth0"} for _ in pods]


class Del(ConformanceCase):
    @case("A-162", "DEL of what was never there, ten times over, and after an ADD that failed, is silent")
    def test_a_162(self):
        pod = self.pod()
        before = state(pod)
        for _ in range(10):
            self.silent("DEL", ours(pod), pod)
        self.assertEqual(state(pod), before)
        self.refused("ADD", ours(pod, proxyPort=0), 7, pod=pod)
        self.silent("DEL", ours(pod), pod)

    @case("A-163", "DEL without namespace, result, annotations and arguments is silent: nothing is on the node")
    def test_a_163(self):
        for netns in (None, ""):
            env = {"CNI_NETNS": netns, "CNI_ARGS": None}
            self.silent("DEL", plain(prevResult=ABSENT, runtimeConfig=ABSENT, capabilities=ABSENT), env=env)
        pod = self.pod()
        self.add(pod)
        self.delete(pod, plain("0.3.1", prevResult=ABSENT, runtimeConfig=ABSENT), env={"CNI_ARGS": None})

    @case("A-164", "DEL with another configuration than ADD's takes out what ADD wrote")
    def test_a_164(self):
        pod = self.pod()
        keys = {"proxyPort": 16001, "excludeInterfaces": "net1", "ipv6": "always", "layout": "istio-1.6"}
        self.add(pod, ours(pod, **keys))
        self.delete(pod, ours(pod, excludeNamespaces=["demo"], ipv6="never", proxyPort="x"))

    @case("A-165", "DEL of a pod that ran before the plugin was in the list is silent")
    def test_a_165(self):
        pod = self.pod()
        self.by_hand(pod, "iptables-legacy", "-t", "nat", "-A", "OUTPUT", "-o", "net1", "-j", "RETURN")
        before = state(pod)
        self.silent("DEL", ours(pod), pod)
        self.assertEqual(state(pod), before)

    @case("A-166", "DEL does not depend on the annotations")
    def test_a_166(self):
        passed = {"sidecar.istio.io/inject": "false"}
        for annotations in (None, {}, injected(excludeInterfaces="a/b"), {STATUS: 5}, passed):
            pod = self.pod()
            self.add(pod, ours(pod, injected(excludeInterfaces="net1")))
            self.delete(pod, ours(pod, annotations or {}))

    @case("A-167", "DEL takes any previous result")
    def test_a_167(self):
        for value in ([], "x", 5, {"cniVersion": "9.9.9"}, {"cniVersion": 5}, {"ips": 7}, {"ip4": []}, {"ips": [{}]}):
            pod = self.pod()
            self.add(pod)
            self.delete(pod, ours(pod, prevResult=value))

    @case("A-168", "DEL asks no agent")
    def test_a_168(self):
        agent = Agent(self, hang)
        for path in (agent.path, nowhere(self), Deaf(self).path, Deaf(self, crowded=True).path):
            pod = self.pod()
            self.add(pod)
            self.delete(pod, ours(pod, agentSocket=path), seconds=2)
        self.assertEqual(agent.questions(), [])

    def forbidden(self, call, error):
        return self.strace("-e", f"trace={call}", "-e", f"inject={call}:error={error}:when=1+")

    @case("A-169", "DEL of what goes away meanwhile is silent")
    def test_a_169(self):
        for call in ("setsockopt", "sendmsg", "getsockopt", "setns"):
            for error in ("ENOENT", "ENODEV", "ESRCH"):
                pod = self.pod()
                self.add(pod)
                with self.many():
                    self.silent("DEL", ours(pod), pod, wrap=self.forbidden(call, error))
                self.look(pod)
                self.delete(pod)

    @case("A-170", "what a DEL cannot take out is told and no error: it goes with the pod; the next DEL finishes")
    def test_a_170(self):
        for error in ("EBUSY", "EPERM"):
            pod = self.pod()
            self.add(pod)
            with self.many(pod):
                outcome = self.silent("DEL", ours(pod), pod, wrap=self.forbidden("socket", error))
            self.assertIn("rules may be left behind", outcome.stderr)
            self.delete(pod)


class Check(ConformanceCase):
    def drifted(self, change, *needles, code=105, **keys):
        pod = self.pod()
        document = ours(pod, addresses=(V6, V4), **keys)
        self.add(pod, document)
        change(pod)
        self.look(pod)
        self.refused("CHECK", document, code, *needles, pod=pod)

    @case("A-171", "CHECK names what is no longer there: a rule, a route, an address, the link, the namespace")
    def test_a_171(self):
        self.drifted(lambda pod: pod.inside("iptables-legacy", "-t", "nat", "-D", "ISTIO_OUTPUT", "3"), "ISTIO_OUTPUT",
                     backend="xtables")  # fmt: skip
        self.drifted(lambda pod: pod.ip("addr del ::6/128 dev lo"), "::6")
        self.drifted(lambda pod: pod.inside("ip", "rule", "del", "fwmark", "1337", "lookup", "133"), "fwmark",
                     interceptionMode="TPROXY")  # fmt: skip
        self.drifted(lambda pod: pod.ip("link set eth0 name eth9"), "eth0", code=(101, 105))
        self.drifted(lambda pod: pod.ip("link del eth0"), "eth0", code=(101, 105))
        pod, other = self.pod(), self.pod()
        self.add(pod)
        self.refused("CHECK", ours(pod), 105, pod=other)
        self.refused("CHECK", ours(pod), 4, "CNI_NETNS", env={"CNI_NETNS": runtime.NO_NETNS})

    @case("A-172", "CHECK does not mind what later plugins and the pod's own programs do")
    def test_a_172(self):
        pod = self.pod()
        self.add(pod)
        self.ip(pod, *LATER_PLUGINS)
        self.by_hand(pod, "iptables-legacy", "-t", "nat", "-A", "POSTROUTING", "-o", "net9", "-j", "MASQUERADE")
        self.by_hand(pod, "nft", "add table inet theirs; add chain inet theirs c; add rule inet theirs c accept")
        self.silent("CHECK", ours(pod), pod)

    @case("A-173", "CHECK of a pod that ADD passed by is silent")
    def test_a_173(self):
        for keys in ({"annotations": {}}, {"excludeNamespaces": ["demo"]},
                     {"annotations": injected() | {"sidecar.istio.io/inject": "false"}}):  # fmt: skip
            pod = self.pod()
            document = ours(pod, **keys)
            with self.many(pod):
                self.passes(document, pod)
                self.silent("CHECK", document, pod)

    @case("A-174", "CHECK needs a previous result")
    def test_a_174(self):
        pod = self.pod()
        self.add(pod)
        for value in (ABSENT, None):
            self.refused("CHECK", ours(pod, prevResult=value), 7, "prevResult", pod=pod)

    @case("A-175", "CHECK under 0.3.1 is refused")
    def test_a_175(self):
        pod = self.pod()
        self.add(pod, ours(pod, version="0.3.1"))
        self.refused("CHECK", ours(pod, version="0.3.1"), 1, "config version does not allow CHECK", pod=pod)


class Gc(ConformanceCase):
    def collect(self, *pods, code=None, **keys):
        """GC succeeds silently, or is refused; either way all these pods stay as they are."""
        document = plain("1.1.0", prevResult=ABSENT, runtimeConfig=ABSENT, **keys)
        if code is None:
            self.silent("GC", document, seconds=1)
        else:
            self.refused("GC", document, code, "attachment")
        for pod in pods:
            self.same(pod)

    def live(self, count=2, **keys):
        pods = [self.pod() for _ in range(count)]
        for pod in pods:
            self.add(pod, ours(pod, version="1.1.0", **keys))
        return pods

    @case("A-176", "GC of an empty, null or absent list, under either key, collects nothing: no state outlives a pod")
    def test_a_176(self):
        pods = self.live()
        for keys in ({}, *({key: value} for key in (VALID, OLDER) for value in NOTHING_IN_IT)):
            self.collect(*pods, **keys)

    @case("A-177", "GC leaves live attachments that are listed")
    def test_a_177(self):
        pods = self.live()
        self.collect(*pods, **{VALID: attachments(*pods), OLDER: []})

    @case("A-178", "GC leaves live attachments that are not listed: a runtime may not know of every network")
    def test_a_178(self):
        pods = self.live()
        for value in (None, [], [{"containerID": "another", "ifname": "eth0"}]):
            self.collect(*pods, **{VALID: value})

    @case("A-179", "GC refuses what is no list of attachments, and tolerates null and members that lack something")
    def test_a_179(self):
        pods = self.live(1)
        for key in (VALID, OLDER):
            for value in NOT_ATTACHMENTS:
                with self.subTest(key=key, value=value):
                    self.collect(*pods, code=6, **{key: value})
        for value in NOTHING_IN_IT:
            self.collect(*pods, **{VALID: value})

    @case("A-180", "GC reads 50,000 attachments in less than a second")
    def test_a_180(self):
        self.collect(**{VALID: [{"containerID": f"c{n}", "ifname": "eth0"} for n in range(50000)]})

    @case("A-181", "one bad member among ten fails GC by name and the other nine are left alone")
    def test_a_181(self):
        pods = self.live(1)
        members = [{"containerID": f"c{n}", "ifname": "eth0"} for n in range(9)]
        self.collect(*pods, code=6, **{VALID: [*members, {"containerID": ["bad"], "ifname": "eth0"}]})

    @case("A-182", "GC of one network leaves another's pods alone, and knows none by name")
    def test_a_182(self):
        pods = self.live(name="another")
        self.collect(*pods, **{VALID: [], "name": "podnet"})

    @case("A-183", "an ADD that GC does not know of yet survives it")
    def test_a_183(self):
        pods = [self.pod() for _ in range(5)]
        collecting = threading.Event()

        def collect():
            while not collecting.is_set():
                outcomes.append(runtime.run("GC", plain("1.1.0", **{VALID: []})).rc)

        outcomes, collector = [], threading.Thread(target=collect)
        collector.start()
        try:
            for pod in pods:
                self.add(pod, ours(pod, version="1.1.0"))
        finally:
            collecting.set()
            collector.join()
        self.assertEqual(set(outcomes), {0})
        for pod in pods:
            self.silent("CHECK", ours(pod, version="1.1.0"), pod)


class Status(ConformanceCase):
    def status(self, **keys):
        return plain("1.1.0", prevResult=ABSENT, runtimeConfig=ABSENT, **keys)

    @case("A-184", "STATUS is silent when ADD can work, 50 when it cannot, 7 for a bad configuration; an agent that is "
                   "away does not stop every ADD, and its own pod must be able to start")  # fmt: skip
    def test_a_184(self):
        self.silent("STATUS", self.status())
        for path in (nowhere(self), Deaf(self).path):
            self.silent("STATUS", self.status(agentSocket=path, agentAbsent="wait"), seconds=1)
        self.refused("STATUS", self.status(proxyPort=0), 7, "proxyPort")
        for capability in ("sys_admin", "net_admin"):
            wrap = ("setpriv", f"--bounding-set=-{capability}", f"--inh-caps=-{capability}")
            self.refused("STATUS", self.status(), 50, f"CAP_{capability.upper()}", wrap=wrap)

    @case("A-185", "STATUS may be asked a hundred times a second: it changes nothing and leaves nothing")
    def test_a_185(self):
        seconds = sorted(self.silent("STATUS", self.status()).seconds for _ in range(100))
        # Of a hundred a busy machine holds many up. nf_tables takes a grace period of RCU to undo a question.
        self.assertLess(seconds[10], (0.1 if BACKEND == "nftables" else 0.02) * SLOWER)
        self.assertLess(seconds[90], 0.2 * SLOWER)
        self.silent("STATUS", self.status(), wrap=CLOSED_STDOUT)
