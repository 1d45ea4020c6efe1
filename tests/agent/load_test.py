# SPDX-License-Identifier: GPL-2.0-or-later
"""A full node: 250 pods, and events faster than any cluster sends them."""

import threading
import time

from tests.agent.agent import SANITIZED, wait_until
from tests.agent.node_case import NodeCase
from tests.agent.pod_objects import pod_object

PODS = 250
EVENTS_PER_SECOND = 100 if SANITIZED else 1000
SECONDS = 3
LIMIT_KIB = 15 * 1024


def numbered(number, **changes):
    return pod_object(f"load-{number}", uid=f"load-uid-{number}",
                      addresses=(f"10.90.{number // 250}.{1 + number % 250}",), **changes)


class LoadTest(NodeCase):
    def fill(self):
        for number in range(PODS):
            self.api.put_pod(numbered(number))

    def test_250_pods_and_1000_events_a_second(self):
        self.fill()
        agent = self.start("--repair", "report")
        wait_until(lambda: len(agent.status()["pods"]) == PODS, "all pods are known")
        pod = self.pod()
        stop = threading.Event()
        sent = []

        def shower():
            objects = [numbered(number, labels={"turn": "x"}) for number in range(PODS)]
            start = time.monotonic()
            while not stop.is_set():
                due = int((time.monotonic() - start) * EVENTS_PER_SECOND)
                while len(sent) < due:
                    changed = objects[len(sent) % PODS]
                    changed["metadata"]["annotations"]["turn"] = str(len(sent))
                    self.api.put_pod(changed)
                    sent.append(0)
                time.sleep(0.002)

        thread = threading.Thread(target=shower)
        thread.start()
        deadline = time.monotonic() + SECONDS
        slowest = 0.0
        while time.monotonic() < deadline:
            added = pod.call("ADD", self.node.our_entry())
            self.assertEqual(0, added.rc, added)
            slowest = max(slowest, added.seconds)
        stop.set()
        thread.join()
        self.assertEqual(200, agent.get("/readyz")[0])
        memory = agent.memory_kib()
        print(f"{self.id()}: {len(sent)} events in {SECONDS} s, slowest ADD {slowest * 1000:.0f} ms, "
              f"agent {memory} KiB")
        # A sanitizer leaves the sender too little of the machine.
        self.assertGreater(len(sent), SECONDS * EVENTS_PER_SECOND * (0.25 if SANITIZED else 0.8))
        if not SANITIZED:
            self.assertLess(memory, LIMIT_KIB)

    def test_250_pods_with_namespaces_of_their_own_take_15_mib(self):
        count = 25 if SANITIZED else PODS
        pods = [self.pod() for _ in range(count)]
        agent = self.start("--repair-interval", "2")

        def wait_intact():
            wait_until(lambda: [pod["condition"] for pod in agent.status()["pods"]] == ["intact"] * count,
                       "all are repaired", 120)

        wait_intact()
        self.assertTrue(all(pod.redirected() for pod in pods[::10]))
        # Passes that find nothing to do, and what a node's pods do all day.
        for number, pod in enumerate(pods):
            self.api.put_pod(pod.object(labels={"turn": str(number)}))
        time.sleep(5)
        wait_intact()
        memory = agent.memory_kib()
        print(f"{self.id()}: {count} pods, agent {memory} KiB")
        if not SANITIZED:
            self.assertLess(memory, LIMIT_KIB)

    def test_pods_that_went_while_the_server_was_away_are_forgotten(self):
        self.fill()
        agent = self.start("--repair", "report")
        wait_until(lambda: len(agent.status()["pods"]) == PODS, "all pods are known")
        self.api.stop()
        for number in range(PODS - 1):
            self.api.delete_pod(f"load-{number}")
        self.api.compact()
        self.api.start()
        wait_until(lambda: len(agent.status()["pods"]) == 1, "only one is left", 60)
