# SPDX-License-Identifier: GPL-2.0-or-later
"""What the end-to-end tests share: a pod with servers around it, and where a connection lands."""

import signal
import unittest
from typing import Optional, Sequence

from tests.e2e import cni, traffic
from tests.e2e.live import LivePod
from tests.e2e.pod import BOTH, Family
from tests.e2e.traffic import Caller, Connection


class PodCase(unittest.TestCase):
    """Gives each test its own live pod."""

    @classmethod
    def setUpClass(cls) -> None:
        # A terminated run ends like an interrupted one, so that the pods are removed.
        signal.signal(signal.SIGTERM, signal.default_int_handler)

    def live_pod(self, families: Sequence[Family] = BOTH) -> LivePod:
        """A pod without rules, its servers running until the test ends."""
        return self.enterContext(LivePod(families))

    def redirected_pod(self, annotations: dict, config: Optional[dict] = None,
                       families: Sequence[Family] = BOTH) -> LivePod:
        """A live pod after a successful ADD with these annotations and settings."""
        pod = self.live_pod(families)
        self.succeeds(cni.add(pod, annotations, config))
        return pod

    def succeeds(self, outcome: cni.Outcome) -> None:
        self.assertEqual(0, outcome.rc, outcome.complaint())

    def lands(self, wanted: str, pod: LivePod, caller: Caller, address: str, port: int,
              **more) -> None:
        """Opens the connection and compares the exact place where it arrived."""
        connection = Connection(caller, address, port, **more)
        landed = pod.land(connection)
        with self.subTest(connection=connection.title()):
            self.assertEqual(wanted, str(landed))

    def captured_outbound(self, pod: LivePod, address: str, port: int) -> None:
        self.lands(traffic.captured_outbound(address, port), pod, traffic.APP, address, port)

    def direct_outbound(self, pod: LivePod, address: str, port: int) -> None:
        self.lands(f"outside:{port}", pod, traffic.APP, address, port)

    def captured_inbound(self, pod: LivePod, address: str, port: int) -> None:
        self.lands(traffic.captured_inbound(address, port), pod, traffic.CLIENT, address, port)

    def direct_inbound(self, pod: LivePod, address: str, port: int) -> None:
        self.lands(f"app:{port}", pod, traffic.CLIENT, address, port)

    def untouched(self, pod: LivePod, family: Family) -> None:
        """Neither direction of the family is captured."""
        self.direct_outbound(pod, family.outside, 80)
        self.direct_inbound(pod, family.pod, 8080)

    def captured(self, pod: LivePod, family: Family) -> None:
        """Both directions of the family are captured."""
        self.captured_outbound(pod, family.outside, 80)
        self.captured_inbound(pod, family.pod, 8080)
