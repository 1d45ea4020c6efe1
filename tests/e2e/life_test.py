# SPDX-License-Identifier: GPL-2.0-or-later
"""Pods in the phases of their life, and packets that belong to no connection."""

import select
import socket
import struct

from tests.e2e import cni
from tests.e2e.cases import PodCase
from tests.e2e.live import SERVERS, LivePod
from tests.e2e.pod import V4, V6, Family
from tests.e2e.rows import row
from tests.e2e.scenario import MODES, ScenarioCase, flags
from tests.e2e.traffic import APP, CLIENT, SIDECAR, Caller, Connection, captured_outbound

EXEMPT = "sluice.dev/exclude-outbound-for-uids"
INIT_USER = Caller("init container", 4201, 4201)
ALWAYS = {"ipv6": "always"}
WITHOUT_SIDECAR = [server for server in SERVERS if server.name != "sidecar"]

_ACK = 0x10
_SYN_ACK = 0x12
_RST = 0x04


class InitContainerTest(PodCase):
    """Containers that run before the sidecar does."""

    def test_without_an_exemption_it_has_no_network(self):
        for mode in MODES:
            pod = self.pod_before_its_sidecar({cni.MODE: mode})
            for family in pod.families:
                self.lands("refused", pod, INIT_USER, family.outside, 80)

    def test_its_uid_can_be_exempted(self):
        for mode in MODES:
            pod = self.pod_before_its_sidecar({cni.MODE: mode, EXEMPT: "::4201"})
            for family in pod.families:
                self.lands("outside:80", pod, INIT_USER, family.outside, 80)
                self.lands("outside:53", pod, INIT_USER, family.resolver, 53, protocol="udp")
                self.lands("refused", pod, APP, family.outside, 80)

    def test_with_dns_capture(self):
        pod = self.pod_before_its_sidecar({"sluice.dev/dns-capture": "all", EXEMPT: "::4201"})
        for family in pod.families:
            for protocol in ("udp", "tcp"):
                self.lands("outside:53", pod, INIT_USER, family.resolver, 53, protocol=protocol)

    def test_running_as_the_sidecars_user_is_enough_too(self):
        pod = self.pod_before_its_sidecar({})
        self.lands("outside:80", pod, SIDECAR, V4.outside, 80)

    def test_a_native_sidecar_runs_before_it(self):
        status = ('{"initContainers":["istio-validation","istio-proxy"],"containers":null}')
        for mode in MODES:
            pod = self.live_pod()
            self.succeeds(cni.add(pod, {cni.STATUS: status, cni.MODE: mode}, ALWAYS))
            for outside in (V4.outside, V6.outside):
                self.lands(captured_outbound(outside, 80), pod, INIT_USER, outside, 80)

    def pod_before_its_sidecar(self, annotations: dict) -> LivePod:
        pod = self.enterContext(LivePod(servers=WITHOUT_SIDECAR))
        self.succeeds(cni.add(pod, cni.injected(annotations), ALWAYS))
        return pod


class InvalidPacketTest(ScenarioCase):
    """Setting dropInvalid: a pod that answers a stray packet breaks somebody's connection."""

    def test_without_it_the_pod_resets(self):
        self.stray_packets(drop=False)

    def test_with_it_nothing_answers(self):
        self.stray_packets(drop=True)

    def stray_packets(self, drop: bool) -> None:
        for mode in MODES:
            pod = self.redirected(flags({**ALWAYS, "interceptionMode": mode,
                                         "dropInvalid": drop}))
            # Else the kernel takes any ACK for one of a connection that it has not seen begin.
            pod.namespace().set("netfilter/nf_conntrack_tcp_loose", "0")
            for family in pod.families:
                for name, packet_flags in (("ACK", _ACK), ("SYN and ACK", _SYN_ACK)):
                    with self.subTest(mode=mode, family=family.name, packet=name):
                        self.assertEqual(not drop, is_reset(pod, family, packet_flags))
                self.all_land(pod, [row("connections still open", APP, family.outside, 80,
                                        captured_outbound(family.outside, 80))])


def is_reset(pod: LivePod, family: Family, packet_flags: int) -> bool:
    """Whether the pod resets the sender of a TCP packet that belongs to no connection."""
    version = socket.AF_INET6 if family is V6 else socket.AF_INET
    with pod.namespace("peer").socket(version, socket.SOCK_RAW, protocol=socket.IPPROTO_TCP) as raw:
        raw.bind((family.peer, 0))
        ports = struct.pack("!HH", 54321, 8080)
        packet = ports + struct.pack("!IIBBHHH", 1, 1, 5 << 4, packet_flags, 1024, 0, 0)
        checksum = _checksum(version, family, packet)
        raw.sendto(packet[:16] + struct.pack("!H", checksum) + packet[18:], (family.pod, 0))
        # Packets keep their order: once this connection has been answered, the stray one has been.
        assert str(pod.land(Connection(CLIENT, family.pod, 15021))) == "app:15021"
        while select.select([raw], [], [], 0)[0]:
            answer = raw.recv(2048)
            header = answer if version == socket.AF_INET6 else answer[(answer[0] & 15) * 4:]
            if header[:4] == ports[2:] + ports[:2] and header[13] & _RST:
                return True
    return False


def _checksum(version: int, family: Family, packet: bytes) -> int:
    ends = socket.inet_pton(version, family.peer) + socket.inet_pton(version, family.pod)
    words = ends + struct.pack("!II", len(packet), socket.IPPROTO_TCP) + packet
    total = sum(struct.unpack(f"!{len(words) // 2}H", words))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return ~total & 0xffff
