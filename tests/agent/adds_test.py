# SPDX-License-Identifier: GPL-2.0-or-later
"""Pods that start while the agent answers, is away, is killed or replaced. None may start open."""

import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor

from tests.agent.agent import SANITIZED, wait_until
from tests.agent.node_case import NodeCase

TRY_AGAIN_LATER = 11


class FactsTest(NodeCase):
    def add(self, pod, **options):
        return pod.call("ADD", self.node.our_entry(), **options)

    def test_what_only_the_api_knows_decides_the_rules(self):
        pod = self.pod(security={"runAsUser": 1000650000, "runAsGroup": 1000650000})
        self.start("--repair", "off")
        added = self.add(pod)
        self.assertEqual(0, added.rc, added)
        self.assertIn("-m owner --uid-owner 1000650000 -j RETURN", pod.nat()["ISTIO_OUTPUT"])

    def test_a_pod_that_the_watch_has_not_seen_is_asked_for(self):
        agent = self.start("--repair", "off")
        pod = self.pod(env={"DISABLE_ENVOY": "true"})
        added = self.add(pod)
        self.assertEqual(0, added.rc, added)
        self.assertEqual({}, pod.nat())
        wait_until(lambda: agent.metric('sluice_cni_requests_total{code="0",command="ADD",'
                                        'outcome="passed",reason="proxyless"}') == 1, "it is counted")

    def test_a_former_pod_of_the_name_is_not_taken_for_it(self):
        pod = self.pod()
        self.api.put_pod({**pod.object(), "metadata": {**pod.object()["metadata"], "uid": "other"}})
        self.start("--repair", "off")
        added = self.add(pod)
        self.assertEqual(TRY_AGAIN_LATER, added.parsed()["code"], added)
        self.assertIn(pod.pod_name, added.parsed()["msg"])
        self.assertEqual({}, pod.nat())

    def test_a_pod_that_is_not_injected_waits_for_nobody(self):
        pod = self.pod(injected=False)
        agent = self.start("--repair", "off")
        self.api.faults.silent = True
        added = self.add(pod, annotations={})
        self.assertEqual(0, added.rc, added)
        self.assertEqual({}, pod.nat())
        self.assertIsNone(agent.metric("sluice_agent_lookups_total{"))

    def test_a_broken_api_server_costs_no_more_than_the_deadline(self):
        known = self.pod()
        agent = self.start("--repair", "off", "--lookup-deadline-ms", "500")
        wait_until(lambda: len(agent.status()["parts"]) >= 4, "it answers")
        self.api.faults.silent = True
        added = self.add(known)
        self.assertEqual(0, added.rc, added)
        self.assertTrue(known.redirected())
        unknown = self.pod()
        self.api.drop()
        started = time.monotonic()
        added = self.add(unknown)
        self.assertEqual(TRY_AGAIN_LATER, added.parsed()["code"], added)
        self.assertLess(time.monotonic() - started, 10 if SANITIZED else 2.5)
        self.assertEqual({}, unknown.nat())

    def test_without_an_agent_annotations_are_enough_where_that_is_asked_for(self):
        self.node.entry.write_text('{"agentAbsent": "annotations"}')
        pod = self.pod()
        self.start("--repair", "off").stop()
        added = self.add(pod)
        self.assertEqual(0, added.rc, added)
        self.assertTrue(pod.redirected())

    def test_without_an_agent_injected_pods_wait_and_others_pass(self):
        injected, plain = self.pod(), self.pod(injected=False)
        self.start("--repair", "off").stop()
        added = self.add(injected)
        self.assertEqual(TRY_AGAIN_LATER, added.parsed()["code"], added)
        self.assertEqual({}, injected.nat())
        self.assertEqual(0, self.add(plain, annotations={}).rc)

    def test_lines_of_the_plugin_are_in_the_agents_log(self):
        pod = self.pod()
        agent = self.start("--repair", "off")
        self.add(pod)
        wait_until(lambda: f'pod "demo/{pod.pod_name}" is redirected' in agent.log(), "the line is there")
        self.assertIn("plugin: ", agent.log())


class Starts:
    """What became of ADDs, tried again as a kubelet does."""

    def __init__(self):
        self.lock = threading.Lock()
        self.open, self.redirected, self.waited, self.others = [], 0, 0, []

    def start(self, pod, entry, **options):
        """One pod from its first ADD to the one that succeeds."""
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            added = pod.call("ADD", entry(), timeout=30, **options)
            with self.lock:
                if added.rc == 0:
                    if not pod.redirected():
                        self.open.append(pod.pod_name)
                    self.redirected += 1
                    return
                code = json.loads(added.stdout)["code"]
                if code == TRY_AGAIN_LATER:
                    self.waited += 1
                else:
                    self.others.append(str(added))
            time.sleep(0.05)
        with self.lock:
            self.others.append(f"{pod.pod_name} never started")


class InterruptionTest(NodeCase):
    def check(self, starts, pods):
        self.assertEqual([], starts.open)
        self.assertEqual([], starts.others)
        self.assertEqual(len(pods), starts.redirected)
        print(f"{self.id()}: {len(pods)} pods, 0 open, {starts.waited} ADDs told to try again")

    def test_an_agent_killed_while_50_adds_run_opens_no_pod(self):
        pods = [self.pod() for _ in range(50)]
        agent = self.start("--repair", "off")
        starts = Starts()
        with ThreadPoolExecutor(10) as pool:
            jobs = [pool.submit(starts.start, pod, self.node.our_entry) for pod in pods]
            wait_until(lambda: starts.redirected >= 10, "ADDs are running")
            agent.kill()
            wait_until(lambda: starts.waited >= 5, "ADDs find it gone")
            self.start("--repair", "off")
            for job in jobs:
                job.result(timeout=120)
        self.check(starts, pods)

    def upgrade(self, agent, number):
        """To another plugin and another entry; the agent that has installed them."""
        self.assertEqual(0, agent.stop())
        with (self.node.image / "sluice-cni").open("ab") as plugin:
            plugin.write(b"x")
        self.node.entry.write_text(json.dumps({"deadlineMs": 20000 - number}))
        agent = self.start("--repair", "off")
        self.assertEqual(20000 - number, self.node.our_entry()["deadlineMs"])
        self.assertEqual((self.node.image / "sluice-cni").read_bytes(), (self.node.bin_dir / "sluice-cni").read_bytes())
        return agent

    def test_an_upgrade_opens_no_pod(self):
        pods = [self.pod() for _ in range(60)]
        agent = self.start("--repair", "off")
        starts = Starts()
        with ThreadPoolExecutor(4) as pool:
            installed = str(self.node.bin_dir / "sluice-cni")
            jobs = [pool.submit(starts.start, pod, self.node.our_entry, plugin=installed) for pod in pods]
            for number, share in enumerate((5, 15, 25, 35, 45), 1):
                wait_until(lambda share=share: starts.redirected >= share, "pods are starting")
                agent = self.upgrade(agent, number)
            for job in jobs:
                job.result(timeout=120)
        self.check(starts, pods)

    def test_an_agent_that_takes_over_before_the_old_one_stops_leaves_no_gap(self):
        pods = [self.pod() for _ in range(30)]
        agent = self.start("--repair", "off")
        starts = Starts()
        with ThreadPoolExecutor(4) as pool:
            jobs = [pool.submit(starts.start, pod, self.node.our_entry) for pod in pods]
            wait_until(lambda: starts.redirected >= 5, "pods are starting")
            self.start("--repair", "off")
            self.assertEqual(0, agent.stop())
            for job in jobs:
                job.result(timeout=120)
        self.check(starts, pods)
        self.assertEqual(0, starts.waited)
