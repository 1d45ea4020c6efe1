# SPDX-License-Identifier: GPL-2.0-or-later
"""Many pods and many events: all arrive, and the memory does not follow them."""
import json
import sys
import time
import unittest

from tests.agent.api_server import pod_object
from tests.agent.kube_driver import SANITIZED, KubeTest

PODS = 250
EVENTS = 4000


def numbered(name: str, number: int) -> dict:
    return pod_object(name, uid=f"uid-{name}",
                      annotations={"traffic.sidecar.istio.io/excludeOutboundPorts": str(number)})


class LoadTest(KubeTest):
    def assert_memory(self, kib: int, limit: int, what: str):
        print(f"{what}: {kib} KiB", file=sys.stderr)
        if not SANITIZED:
            self.assertLess(kib, limit, what)

    def test_a_list_of_250_pods_is_never_held(self):
        empty = self.watching()
        without = empty.state()
        empty.close()
        for number in range(PODS):
            self.server.put_pod(numbered(f"web-{number}", number + 1))
        driver = self.watching()
        state = driver.state()
        self.assertEqual(len(state["cache"]), PODS)
        # state() itself copies the cache: both drivers do, but one has something to copy.
        self.assert_memory(state["bytes"] // 1024, 512, f"text of {PODS} pods")
        self.assert_memory(state["rss"] - without["rss"], 2560, f"RSS of {PODS} pods")

    def test_4000_events_arrive_and_leave_nothing_behind(self):
        for number in range(PODS):
            self.server.put_pod(numbered(f"web-{number}", 1))
        driver = self.watching()
        before = driver.state()
        start = time.monotonic()
        for number in range(EVENTS):
            self.server.put_pod(numbered(f"web-{number % PODS}", number + 2))
            # 1,000 a second
            time.sleep(max(0.0, start + number / 1000 - time.monotonic()))
        sent = time.monotonic() - start
        self.wait(lambda: driver.changes() == PODS + EVENTS, 600)
        print(f"{EVENTS} events sent in {sent:.1f} s, read {time.monotonic() - start - sent:.1f} s "
              f"later, {driver.state()['cpu'] - before['cpu']:.1f} s of CPU", file=sys.stderr)
        after = driver.state()
        last = {f"web-{number % PODS}": str(number + 2) for number in range(EVENTS)}
        ports = {pod["name"]: json.loads(pod["object"])["metadata"]["annotations"][
            "traffic.sidecar.istio.io/excludeOutboundPorts"] for pod in after["cache"]}
        self.assertEqual(ports, last)
        self.assertEqual(self.server.requests["list"], 1)
        self.assert_memory(after["rss"] - before["rss"], 2048, f"RSS after {EVENTS} events")


if __name__ == "__main__":
    unittest.main()
